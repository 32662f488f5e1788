package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

func TestRegisterKeepsTheOrderAndNumbersRevisions(t *testing.T) {
	t.Parallel()
	f := open(t)
	b, a := workflow(t, "ns", "b", "1.0.0", "x"), workflow(t, "ns", "a", "1.0.0", "x")
	stored, err := f.Register(t.Context(), []*template.Template{b, a, b}, false)
	require.NoError(t, err)
	require.Len(t, stored, 3)
	require.Equal(t, ports.StoredTemplate{ID: stored[0].ID, Revision: 1, Definition: b}, stored[0])
	require.Equal(t, ports.StoredTemplate{ID: stored[1].ID, Revision: 1, Definition: a}, stored[1])
	require.Equal(t, stored[0], stored[2], "the same content is the same revision")
	require.NotEqual(t, stored[0].ID, stored[1].ID)

	none, err := f.Register(t.Context(), nil, false)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestRegisterAgainIsTheSameRevision(t *testing.T) {
	t.Parallel()
	f := open(t)
	first := f.register(t, diamond(t))
	require.Equal(t, first, f.register(t, diamond(t)))
	other := f.register(t, workflow(t, "orders", "fulfil", "1.0.1", "validate"))
	require.Equal(t, 1, other[0].Revision, "another version begins anew")
	require.NotEqual(t, first[0].ID, other[0].ID)
}

func TestRegisterRefusesOtherContentUnderAUsedVersion(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.register(t, workflow(t, "ns", "a", "1.0.0", "x"), workflow(t, "ns", "b", "2.0.0", "x"))

	_, err := f.Register(t.Context(), []*template.Template{
		workflow(t, "ns", "new", "1.0.0", "x"),
		workflow(t, "ns", "a", "1.0.0", "y"),
		workflow(t, "ns", "b", "2.0.0", "y"),
	}, false)
	require.True(t, fault.Is(err, fault.CodeTemplateChanged), "%v", err)
	e := fault.Of(err)
	require.Equal(t, fault.Conflict, e.Kind)
	require.Equal(t, "version", e.Field)
	require.Equal(t, map[string]string{"namespace": "ns", "name": "a", "version": "1.0.0"}, e.Meta)
	require.Equal(t, []string{"ns/a/1.0.0", "ns/b/2.0.0"}, []string{e.Details[0].Field, e.Details[1].Field})
	require.Contains(t, e.Message, "version 1.0.0 of template a in namespace ns")

	all, err := f.List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, all, 2, "nothing is stored, not even what is new")

	_, err = f.Register(t.Context(), []*template.Template{
		workflow(t, "ns", "twice", "1.0.0", "x"), workflow(t, "ns", "twice", "1.0.0", "y"),
	}, false)
	require.True(t, fault.Is(err, fault.CodeTemplateChanged), "two contents in one call: %v", err)
}

func TestRegisterRevises(t *testing.T) {
	t.Parallel()
	f := open(t)
	name := task.Name{Namespace: "ns", Name: "a", Version: "1.0.0"}
	one := f.register(t, workflow(t, "ns", "a", "1.0.0", "x"))[0]
	revised, err := f.Register(t.Context(), []*template.Template{
		workflow(t, "ns", "a", "1.0.0", "y"), workflow(t, "ns", "a", "1.0.0", "z"),
	}, true)
	require.NoError(t, err)
	require.Equal(t, []int{2, 3}, []int{revised[0].Revision, revised[1].Revision})

	latest, err := f.Latest(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, revised[1].ID, latest.ID)
	require.Equal(t, "z", latest.Definition.Steps[0].Name)

	found, err := f.ByID(t.Context(), []ident.TemplateID{one.ID, revised[0].ID, 999, one.ID})
	require.NoError(t, err)
	slices.SortFunc(found, func(a, b ports.StoredTemplate) int { return a.Revision - b.Revision })
	require.Len(t, found, 2, "unknown ids are left out, and none comes twice")
	require.Equal(t, "x", found[0].Definition.Steps[0].Name, "a revision never changes")
	require.Equal(t, "y", found[1].Definition.Steps[0].Name)

	// Back to what it was at first: the newest again, as a revision of its own.
	back, err := f.Register(t.Context(), []*template.Template{workflow(t, "ns", "a", "1.0.0", "x")}, true)
	require.NoError(t, err)
	require.Equal(t, 4, back[0].Revision)
	latest, err = f.Latest(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, back[0].ID, latest.ID)
	require.Equal(t, "x", latest.Definition.Steps[0].Name)
}

func TestLatestNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.register(t, diamond(t))
	for _, name := range []task.Name{
		{Namespace: "orders", Name: "fulfil", Version: "1.0.1"},
		{Namespace: "orders", Name: "fulfill", Version: "1.0.0"},
		{Namespace: "order", Name: "fulfil", Version: "1.0.0"},
		{},
	} {
		_, err := f.Latest(t.Context(), name)
		require.True(t, fault.Is(err, fault.CodeTemplateNotFound), "%v: %v", name, err)
	}
}

func TestListIsTheNewestOfEveryVersionInOrder(t *testing.T) {
	t.Parallel()
	f := open(t)
	empty, err := f.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, empty)

	f.register(t,
		workflow(t, "b", "one", "1.0.0", "x"), workflow(t, "a", "two", "1.0.0", "x"),
		workflow(t, "a", "one", "2.0.0", "x"), workflow(t, "a", "one", "1.0.0", "x"),
		workflow(t, "a", "one_more", "1.0.0", "x"))
	_, err = f.Register(t.Context(), []*template.Template{workflow(t, "a", "one", "1.0.0", "y")}, true)
	require.NoError(t, err)

	list := func(namespace string) (names []string) {
		all, err := f.List(t.Context(), namespace)
		require.NoError(t, err)
		for _, s := range all {
			names = append(names, fmt.Sprintf("%s/%s/%s#%d", s.Definition.Namespace, s.Definition.Name, s.Definition.Version, s.Revision))
		}
		return names
	}
	require.Equal(t, []string{"a/one/1.0.0#2", "a/one/2.0.0#1", "a/one_more/1.0.0#1", "a/two/1.0.0#1", "b/one/1.0.0#1"}, list(""))
	require.Equal(t, []string{"b/one/1.0.0#1"}, list("b"))
	require.Empty(t, list("c"))
}

func TestDefinitionSurvivesStorage(t *testing.T) {
	t.Parallel()
	f := open(t)
	made, _, err := template.Read([]byte(`{
		"version": "1.0.0", "namespace_name": "ns", "name": "odd",
		"metadata": {"zeta": 1, "alpha": {"b": [1.50, 1200, -7], "a": "é \u2028 \" \\ <>&"}},
		"input_schema": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer", "minimum": 1}}},
		"steps": [
			{"name": "first", "handler": {"callable": "h", "initialization": {"z": null, "a": [true, {}]}}},
			{"name": "second", "dependencies": ["first"], "handler": {"callable": "h"}, "timeout_seconds": 7,
			 "retry": {"retryable": false, "max_attempts": 1}}]}`))
	require.NoError(t, err)
	stored := f.register(t, made)[0]

	read, err := f.Latest(t.Context(), task.Name{Namespace: "ns", Name: "odd", Version: "1.0.0"})
	require.NoError(t, err)
	require.Equal(t, stored.ID, read.ID)
	require.JSONEq(t, string(made.Canonical()), string(read.Definition.Canonical()))
	require.Equal(t, made.Steps, read.Definition.Steps)
	require.Equal(t, made.Hash(), read.Definition.Hash(), "what is read back may be registered again")
}

// PostgreSQL spells some numbers its own way. So the hash is that of the text
// which was registered, not of what is read back.
func TestHashIsThatOfTheRegisteredText(t *testing.T) {
	t.Parallel()
	f := open(t)
	made, _, err := template.Read([]byte(`{"version": "1.0.0", "namespace_name": "ns", "name": "odd",
		"metadata": {"n": [12e2, 1e20, -0.0]}, "steps": [{"name": "first", "handler": {"callable": "h"}}]}`))
	require.NoError(t, err)
	first := f.register(t, made)
	require.Equal(t, first, f.register(t, made))
	read, err := f.Latest(t.Context(), task.Name{Namespace: "ns", Name: "odd", Version: "1.0.0"})
	require.NoError(t, err)
	require.JSONEq(t, string(made.Canonical()), string(read.Definition.Canonical()))
}

func TestServersThatStartAtOnceAgree(t *testing.T) {
	t.Parallel()
	one := open(t)
	servers := []*fixture{one, openURL(t, one.url, 0)}
	var all []*template.Template
	for i := range 10 {
		all = append(all, workflow(t, "ns", fmt.Sprintf("w%d", i), "1.0.0", "x"))
	}
	const starts = 20
	got := make([]map[string]ident.TemplateID, starts)
	errs := make([]error, starts)
	var wg sync.WaitGroup
	for i := range starts {
		wg.Go(func() {
			mine := slices.Clone(all)
			rand.Shuffle(len(mine), func(a, b int) { mine[a], mine[b] = mine[b], mine[a] })
			var stored []ports.StoredTemplate
			stored, errs[i] = servers[i%2].Register(t.Context(), mine, i%3 == 0)
			got[i] = map[string]ident.TemplateID{}
			for _, s := range stored {
				got[i][s.Definition.Name] = s.ID
			}
		})
	}
	wg.Wait()
	for i := range starts {
		require.NoError(t, errs[i])
		require.Len(t, got[i], len(all))
		require.Equal(t, got[0], got[i])
	}
}

func TestConcurrentRevisionsAreAllKept(t *testing.T) {
	t.Parallel()
	f := open(t)
	const n = 20
	numbers := make([]int, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		mine := workflow(t, "ns", "a", "1.0.0", fmt.Sprintf("step_%d", i))
		wg.Go(func() {
			stored, err := f.Register(t.Context(), []*template.Template{mine}, true)
			if errs[i] = err; err == nil {
				numbers[i] = stored[0].Revision
			}
		})
	}
	wg.Wait()
	slices.Sort(numbers)
	for i := range n {
		require.NoError(t, errs[i])
		require.Equal(t, i+1, numbers[i])
	}
}

func TestOfConcurrentContentsOneWins(t *testing.T) {
	t.Parallel()
	f := open(t)
	const n = 20
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		mine := workflow(t, "ns", "a", "1.0.0", fmt.Sprintf("step_%d", i))
		wg.Go(func() { _, errs[i] = f.Register(t.Context(), []*template.Template{mine}, false) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.True(t, fault.Is(err, fault.CodeTemplateChanged), "%v", err)
	}
	require.Equal(t, 1, won)
}

// Statements give up on a lock after two seconds; a start does not.
func TestRegisterWaitsForAnotherServer(t *testing.T) {
	t.Parallel()
	f := open(t)
	other := f.connect(t)
	// The key of the lock: "task" and the number of registration.
	_, err := other.Exec(t.Context(), "begin; select pg_advisory_xact_lock(1952543595, -4)")
	require.NoError(t, err)
	done := make(chan error, 1)
	made := diamond(t)
	go func() {
		_, err := f.Register(t.Context(), []*template.Template{made}, false)
		done <- err
	}()
	// Three seconds of the other server's time.
	_, err = other.Exec(t.Context(), "select pg_sleep(3)")
	require.NoError(t, err)
	require.Empty(t, done, "it waits")
	_, err = other.Exec(t.Context(), "commit")
	require.NoError(t, err)
	require.NoError(t, <-done)
}

func TestRegisterTakesTheSameStatementsForOneAndForMany(t *testing.T) {
	t.Parallel()
	f := open(t)
	var many []*template.Template
	for i := range 50 {
		many = append(many, workflow(t, "ns", fmt.Sprintf("w%d", i), "1.0.0", "x"))
	}
	one := f.sql.during(func() { f.register(t, workflow(t, "ns", "alone", "1.0.0", "x")) })
	fifty := f.sql.during(func() { f.register(t, many...) })
	require.Len(t, one, 3)
	require.Len(t, fifty, 3)
}
