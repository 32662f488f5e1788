package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// counter counts statements and round trips.
type counter struct {
	mu         sync.Mutex
	statements int
	trips      int
}

func (c *counter) add(statements, trips int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statements += statements
	c.trips += trips
}

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.add(1, 1)
	return ctx
}
func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.add(0, 1)
	return ctx
}
func (c *counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) { c.add(1, 0) }
func (c *counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// cost is what something took.
type cost struct{ statements, trips int }

func (c *counter) during(do func()) cost {
	c.mu.Lock()
	before := cost{c.statements, c.trips}
	c.mu.Unlock()
	do()
	c.mu.Lock()
	defer c.mu.Unlock()
	return cost{c.statements - before.statements, c.trips - before.trips}
}

func counted(t *testing.T) (*fixture, *counter) {
	t.Helper()
	f := &fixture{url: pgtest.New(t, schema).URL, sql: &recorder{}, templates: map[ident.TemplateID]*template.Template{}}
	c := &counter{}
	db, err := postgres.Open(t.Context(), postgres.Config{URL: f.url, MaxConnections: 8, Description: t.Name(), Tracer: c})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	f.Store = postgres.NewStore(db, river.NewQueue())
	return f, c
}

// fan is a root, n steps below it, and one below them all.
func fan(t *testing.T, n int) *template.Template {
	t.Helper()
	steps := []string{"root"}
	join := "join<"
	for i := range n {
		name := fmt.Sprintf("m%d", i)
		steps = append(steps, name+"<root")
		if i > 0 {
			join += ","
		}
		join += name
	}
	return workflow(t, "bench", fmt.Sprintf("fan%d", n), "1.0.0", append(steps, join)...)
}

// A step costs the same in a task of 4 steps and in one of 1,000.
func TestStatementsOfAStepDoNotGrowWithItsTask(t *testing.T) {
	t.Parallel()
	f, c := counted(t)
	costs := map[int][]cost{}
	for _, n := range []int{2, 998} {
		stored := f.register(t, fan(t, n))[0]
		f.submit(t, submission(t, stored)) // prepares statements
		f.report(t, f.claim(t, 1, "bench", "root"), succeed)

		costs[n] = append(costs[n], c.during(func() { f.submit(t, submission(t, stored)) }))
		root := f.claim(t, 1, "bench", "root")
		require.Len(t, root, 1)
		costs[n] = append(costs[n], c.during(func() { f.report(t, root, succeed) }))
		var middle []ports.ClaimedStep
		costs[n] = append(costs[n], c.during(func() { middle = f.claim(t, 1, "bench", "m0") }))
		require.Len(t, middle, 1)
		costs[n] = append(costs[n], c.during(func() { f.report(t, middle, succeed) }))
	}
	require.Equal(t, costs[2], costs[998])
	for _, got := range costs[2] {
		require.LessOrEqual(t, got.trips, 2, "a transaction is two round trips at most")
		require.LessOrEqual(t, got.statements, 13)
	}
}

// A batch costs the same whatever is in it.
func TestStatementsDoNotGrowWithTheBatch(t *testing.T) {
	t.Parallel()
	f, c := counted(t)
	stored := f.register(t, diamond(t))[0]
	many := func(n int) []plan.Submission {
		subs := make([]plan.Submission, n)
		for i := range subs {
			subs[i] = submission(t, stored)
		}
		return subs
	}
	f.submit(t, many(1)...)
	one := c.during(func() { f.submit(t, many(1)...) })
	require.Equal(t, one, c.during(func() { f.submit(t, many(200)...) }))

	f.report(t, f.claim(t, 1, "orders", "validate"), succeed)
	var a, b []ports.ClaimedStep
	one = c.during(func() { a = f.claim(t, 1, "orders", "validate") })
	require.Len(t, a, 1)
	require.Equal(t, one, c.during(func() { b = f.claim(t, 100, "orders", "validate") }))
	require.Len(t, b, 100)
	one = c.during(func() { f.report(t, a, succeed) })
	require.Equal(t, one, c.during(func() { f.report(t, b, succeed) }))
}

// A decision that meets rows which have moved on fails whole, though its commit
// was on its way with it.
func TestAWriteThatMissesARowFailsTheTransaction(t *testing.T) {
	t.Parallel()
	f := open(t)
	stored := f.register(t, diamond(t))[0]
	id := f.submit(t, submission(t, stored))[0]
	claimed := f.claim(t, 1, "orders", "validate")
	tries := 0
	_, err := f.Run(t.Context(), ports.Scope{Steps: []ident.StepRef{claimed[0].Ref}}, func(snap *plan.Snapshot) (ports.Writes, error) {
		tries++
		wrong := snap.Steps[claimed[0].Ref]
		wrong.Dispatch++
		snap.Steps[claimed[0].Ref] = wrong
		d, verdicts, err := plan.AfterResults(snap, f.definition, plan.Rules{}, []step.Result{{Ref: claimed[0].Ref, Dispatch: wrong.Dispatch}})
		require.Equal(t, []step.Verdict{step.Applied}, verdicts)
		return ports.Writes{Decision: d}, err
	})
	require.ErrorContains(t, err, "wrote 2 rows of workflow_steps, expected 3")
	require.Greater(t, tries, 1, "it is tried again: the rows may have moved under it")
	record, steps, err := f.Task(t.Context(), id)
	require.NoError(t, err)
	require.EqualValues(t, 4, record.Open)
	require.Equal(t, step.InProgress, steps[0].State)
}
