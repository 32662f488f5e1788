package docs_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker"
	"github.com/tasker-go/tasker/adapters/templates"
	"github.com/tasker-go/tasker/worker"
)

// What docs/workers.md shows, in code that is compiled and run.

type (
	order       struct{ Number string }
	validated   struct{ Number string }
	reservation struct{ Warehouse string }
)

func book(_ context.Context, key string, from reservation) (string, error) {
	return key + " from " + from.Warehouse, nil
}

func validate(_ context.Context, in order, _ *worker.Step) (validated, error) {
	return validated(in), nil
}

func ship(ctx context.Context, s *worker.Step) (any, error) {
	// What another step of the task returned, by its name.
	from, err := worker.ResultOf[reservation](ctx, s, "reserve_stock")
	if err != nil {
		return nil, err
	}
	return book(ctx, s.Key(), from)
}

var handlers = worker.Handlers{
	"orders.ship_order":     worker.Func(ship),
	"orders.validate_order": worker.Typed(validate),
}

// The shape of a main function; it is not called.
var _ = func() {
	os.Exit(tasker.Main(tasker.Options{
		Templates: os.DirFS("templates"),
		Handlers:  handlers,
		Slots:     100,
	}))
}

func TestAHandlerIsTestedWithoutAServer(t *testing.T) {
	t.Parallel()
	s := worker.NewStep(worker.Step{Name: "ship_order", ID: "a key", Attempt: 1}, worker.Inputs{
		Context: json.RawMessage(`{"order_number": "A-1"}`),
		Parents: map[string]json.RawMessage{"reserve_stock": json.RawMessage(`{"warehouse": "north"}`)},
	})
	got, err := ship(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, "a key from north", got)

	_, err = ship(t.Context(), worker.NewStep(worker.Step{}, worker.Inputs{}))
	require.ErrorIs(t, err, worker.ErrNoResult)
}

func TestTheCodeOfTheWorkersPageIsThisFile(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("workers_test.go")
	require.NoError(t, err)
	shape := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	here := shape(string(raw))
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "docs/workers.md").text, -1)
	require.Len(t, blocks, 4)
	for _, m := range blocks {
		require.Contains(t, here, shape(m[1]), "docs/workers.md")
	}
}

func TestTheTemplateOfTheTemplatesPageIsOne(t *testing.T) {
	t.Parallel()
	m := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(read(t, "docs/templates.md").text)
	require.NotNil(t, m)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "t.yaml"), []byte(m[1]), 0o600))
	ts, warnings, err := templates.Load(dir)
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Len(t, ts, 1)
	require.Equal(t, 10, ts[0].Step(2).TimeoutSeconds)
	require.Equal(t, 30, ts[0].Resolve("production").Step(2).TimeoutSeconds)
}
