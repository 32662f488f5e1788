package catalog_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app/catalog"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// database is what catalogs of several servers share.
type database struct {
	mu       sync.Mutex
	rows     []ports.StoredTemplate
	disabled *ports.Hold
	reads    int
	read     func() // called when Latest has read, before it returns
	down     error
}

func (d *database) Register(_ context.Context, ts []*template.Template, _ bool) ([]ports.StoredTemplate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []ports.StoredTemplate
	for _, t := range ts {
		d.rows = append(d.rows, ports.StoredTemplate{ID: ident.TemplateID(len(d.rows) + 1), Revision: len(d.rows) + 1, Definition: t})
		s := d.rows[len(d.rows)-1]
		s.Disabled = d.disabled
		out = append(out, s)
	}
	return out, d.down
}

func (d *database) Latest(context.Context, task.Name) (ports.StoredTemplate, error) {
	s, err := d.latest()
	if d.read != nil {
		d.read()
	}
	return s, err
}

func (d *database) latest() (ports.StoredTemplate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	if d.down != nil {
		return ports.StoredTemplate{}, d.down
	}
	s := d.rows[len(d.rows)-1]
	s.Disabled = d.disabled
	return s, nil
}

func (d *database) ByID(context.Context, []ident.TemplateID) ([]ports.StoredTemplate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rows, d.down
}

func (d *database) List(context.Context, string) ([]ports.StoredTemplate, error) {
	s, err := d.latest()
	return []ports.StoredTemplate{s}, err
}

func (d *database) Disable(_ context.Context, _ task.Name, by, why string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.disabled = &ports.Hold{By: by, Why: why, Since: time.Unix(1_700_000_000, 0)}
	return d.down
}

func (d *database) Enable(context.Context, task.Name) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.disabled = nil
	return d.down
}

// noArrays refuses schemas that are arrays' own.
type noArrays struct{}

func (noArrays) Compile(schema []byte) error {
	if string(schema) == `{"type":"array"}` {
		return errors.New("arrays are not taken")
	}
	return nil
}

func (noArrays) Validate(_ [32]byte, _, doc []byte) []fault.Detail {
	if string(doc) == "{}" {
		return []fault.Detail{{Field: "context.id", Message: "is missing, want it set"}}
	}
	return nil
}

var flow = task.Name{Namespace: "ns", Name: "flow", Version: "1.0.0"}

func made(t *testing.T, callable string) *template.Template {
	t.Helper()
	m, err := template.New(template.Template{
		Namespace: flow.Namespace, Name: flow.Name, Version: flow.Version, InputSchema: []byte(`{"type":"object"}`),
		Steps: []template.Step{{Name: "a", Handler: template.Handler{Callable: callable}}},
		Environments: map[string]template.Environment{
			"test": {Steps: []template.Override{{Name: "a", TimeoutSeconds: 7}}},
		},
	})
	require.NoError(t, err)
	return m
}

// server returns a catalog over the database, with one template registered.
func server(t *testing.T, d *database) *catalog.Catalog {
	t.Helper()
	c := catalog.New(d, noArrays{}, "test")
	if len(d.rows) == 0 {
		_, err := c.Register(t.Context(), []*template.Template{made(t, "h")}, false)
		require.NoError(t, err)
	}
	return c
}

func newest(t *testing.T, c *catalog.Catalog) ports.StoredTemplate {
	t.Helper()
	s, err := c.Newest(t.Context(), flow)
	require.NoError(t, err)
	return s
}

func TestNewestReadsSeldomAndKeepsOneDefinition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		c := server(t, d)
		first := newest(t, c)
		require.Equal(t, 7, first.Definition.Step(1).TimeoutSeconds, "as it is in the environment")
		for range 10 {
			require.Same(t, first.Definition, newest(t, c).Definition)
		}
		require.Zero(t, d.reads, "registering has told")
		time.Sleep(5 * time.Second)
		require.Same(t, first.Definition, newest(t, c).Definition)
		require.Equal(t, 1, d.reads)
		require.Same(t, first.Definition, c.Definition(first.ID))
	})
}

func TestADisabledVersionIsKnownAtOnceHereAndSoonElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		here, there := server(t, d), server(t, d)
		require.NoError(t, catalog.Enabled(newest(t, here)))
		require.NoError(t, catalog.Enabled(newest(t, there)))

		require.NoError(t, here.Disable(t.Context(), flow, "Ada", "it pays twice"))
		err := catalog.Enabled(newest(t, here))
		require.True(t, fault.Is(err, fault.CodeTemplateDisabled), "%v", err)
		require.Equal(t, "ns/flow/1.0.0 is disabled since 2023-11-14T22:13:20Z by Ada: it pays twice; create tasks of another version, or enable it", fault.Of(err).Message)
		time.Sleep(5 * time.Second)
		require.Equal(t, &ports.Hold{By: "Ada", Why: "it pays twice", Since: time.Unix(1_700_000_000, 0)}, newest(t, there).Disabled)

		// A new revision does not enable it.
		_, err = here.Register(t.Context(), []*template.Template{made(t, "other")}, true)
		require.NoError(t, err)
		require.Error(t, catalog.Enabled(newest(t, here)))

		require.NoError(t, there.Enable(t.Context(), flow))
		require.NoError(t, catalog.Enabled(newest(t, there)))
		time.Sleep(5 * time.Second)
		require.NoError(t, catalog.Enabled(newest(t, here)))
	})
}

// What was read before a change must not be believed after it, in whatever
// order the answers come.
func TestWhatWasReadBeforeAChangeIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *catalog.Catalog){
		"disable": func(t *testing.T, c *catalog.Catalog) {
			require.NoError(t, c.Disable(t.Context(), flow, "Ada", "why"))
		},
		"register": func(t *testing.T, c *catalog.Catalog) {
			_, err := c.Register(t.Context(), []*template.Template{made(t, "new")}, true)
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &database{}
			server(t, d)
			c := server(t, d) // which has not read yet
			d.read = sync.OnceFunc(func() { change(t, c) })
			old := newest(t, c)
			require.NoError(t, catalog.Enabled(old))
			require.Equal(t, 1, old.Revision)
			now := newest(t, c)
			require.True(t, now.Disabled != nil || now.Revision == 2, "read anew")
		})
	}
}

func TestAnOutageKeepsWhatWasKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		c := server(t, d)
		first := newest(t, c)
		d.down = ports.ErrOutage
		time.Sleep(time.Minute)
		require.Equal(t, first, newest(t, c))

		// It may have been stored all the same: what was known is not known any more.
		require.ErrorIs(t, c.Disable(t.Context(), flow, "Ada", "why"), ports.ErrOutage)
		_, err := c.Newest(t.Context(), flow)
		require.ErrorIs(t, err, ports.ErrOutage)
	})
}

func TestCheckTellsEverythingWithItsPlace(t *testing.T) {
	t.Parallel()
	d := &database{}
	c := server(t, d)
	require.Empty(t, c.Check(made(t, "h")))

	bad := *made(t, "h")
	bad.Version, bad.InputSchema = "1", []byte(`{"type":"array"}`)
	require.Equal(t, []fault.Detail{
		{Field: "version", Message: "is not a version, want three numbers like 1.0.0, or 1.0.0-rc.1"},
		{Field: "input_schema", Message: "arrays are not taken"},
	}, c.Check(&bad))
	_, err := c.Register(t.Context(), []*template.Template{made(t, "h"), &bad}, false)
	require.True(t, fault.Is(err, fault.CodeInvalidTemplate), "%v", err)
	require.Equal(t, "ns/flow/1: input_schema", fault.Of(err).Details[1].Field)
	require.Len(t, d.rows, 1, "all of them, or none")
}

func TestCheckInput(t *testing.T) {
	t.Parallel()
	c := server(t, &database{})
	require.NoError(t, c.CheckInput(made(t, "h"), []byte(`{"id":1}`)))
	err := c.CheckInput(made(t, "h"), []byte(`{}`))
	require.True(t, fault.Is(err, fault.CodeInvalidInput), "%v", err)
	require.Equal(t, "context.id", fault.Of(err).Field)
}
