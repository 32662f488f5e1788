package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
)

// ledger is a target that remembers, and whose task of one number fails.
type ledger struct {
	mu      sync.Mutex
	created map[string]taskContext
	waited  map[string]int
	fail    int64
}

var errFailed = errors.New("the task failed")

func (l *ledger) create(_ context.Context, _ string, c taskContext) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := fmt.Sprint(len(l.created))
	l.created[id] = c
	return id, nil
}

func (l *ledger) wait(_ context.Context, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.created[id]
	if !ok {
		return fmt.Errorf("no task %s", id)
	}
	l.waited[id]++
	if c.N == l.fail {
		return errFailed
	}
	return nil
}

func newLedger(fail int64) *ledger {
	return &ledger{created: map[string]taskContext{}, waited: map[string]int{}, fail: fail}
}

func TestEveryTaskIsCreatedAndAwaitedOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(0)
	run, err := inBulk(t.Context(), l, "any", 500)
	require.NoError(t, err)
	took, err := oneAtATime(t.Context(), l, "any", 7)
	require.NoError(t, err)
	require.Len(t, took, 7)
	require.Equal(t, 500, run.Tasks)
	require.LessOrEqual(t, run.Create, run.Total)
	require.Len(t, l.created, 507)
	require.Len(t, l.waited, 507)
	inputs := map[taskContext]bool{}
	for id, c := range l.created {
		require.Equal(t, 1, l.waited[id])
		inputs[c] = true
	}
	require.Len(t, inputs, 507, "no two tasks are the same request")
}

func TestATaskThatDoesNotCompleteFailsTheRun(t *testing.T) {
	t.Parallel()
	_, err := inBulk(t.Context(), newLedger(42), "any", 100)
	require.ErrorIs(t, err, errFailed)
	_, err = oneAtATime(t.Context(), newLedger(3), "any", 5)
	require.ErrorIs(t, err, errFailed)
}

func TestCounterSeesWhatIsSent(t *testing.T) {
	t.Parallel()
	c := newCounter(true)
	cfg, err := pgx.ParseConfig(pgtest.Empty(t).URL)
	require.NoError(t, err)
	cfg.Tracer = c
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the database goes away
	before := c.read()

	_, err = conn.Exec(t.Context(), "select 1") // 1 statement, 1 transaction
	require.NoError(t, err)
	require.NoError(t, pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error { // 4 and 1
		for range 2 {
			if _, err := tx.Exec(t.Context(), "select 2"); err != nil {
				return err
			}
		}
		return nil
	}))
	var whole, open pgx.Batch
	for _, sql := range []string{"begin", "select 3", "commit"} { // 3 and 1
		whole.Queue(sql)
	}
	require.NoError(t, conn.SendBatch(t.Context(), &whole).Close())
	open.Queue("select 4") // 2 and 1
	open.Queue("select 4")
	require.NoError(t, conn.SendBatch(t.Context(), &open).Close())

	d := c.read().since(before)
	require.EqualValues(t, 10, d.statements)
	require.EqualValues(t, 4, d.transactions)
	require.EqualValues(t, 2, d.texts["select 2"])
	require.EqualValues(t, 2, d.texts["begin"])
	require.Len(t, d.busiest(), 6)
}

// small is a bench that takes seconds, on a PostgreSQL of its own.
func small(t *testing.T) *bench {
	t.Helper()
	diamond, err := findShape("diamond4")
	require.NoError(t, err)
	cluster := pgtest.OwnCluster(t)
	b, err := newBench(t.Context(), options{
		shapes: []shape{diamond}, modes: []string{inProcess, overGRPC}, rounds: 2, scale: 0.02, statements: true,
		databaseURL: cluster.URL(),
	}, &bytes.Buffer{})
	require.NoError(t, err)
	b.log = slog.New(slog.DiscardHandler)
	t.Cleanup(func() { require.NoError(t, b.close(context.Background())) })
	return b
}

func TestASmallRun(t *testing.T) {
	t.Parallel()
	b := small(t)
	r, err := b.all(t.Context())
	require.NoError(t, err)
	require.Positive(t, r.Limits.Commits1)
	require.Positive(t, r.Limits.Commits16)
	require.Positive(t, r.Limits.RiverJobs)
	require.Positive(t, r.Limits.RiverLatency)
	require.Positive(t, r.RSS)
	require.Positive(t, r.Slots.Ratio)
	s, ok := r.shape("diamond4", inProcess)
	require.True(t, ok)
	require.Positive(t, s.Latency.P50)
	require.LessOrEqual(t, s.Latency.P50, s.Latency.P99)
	require.Equal(t, 40, s.Tasks)
	require.Positive(t, s.PerStep.WAL)
	require.Greater(t, s.PerStep.SQL, s.PerStep.Transactions)
	require.Positive(t, s.PerStep.Transactions)
	require.Positive(t, s.PerStep.Server)

	var text, markdown bytes.Buffer
	require.NoError(t, printText(&text, r.Machine, r.tables()))
	require.NoError(t, printMarkdown(&markdown, r.Machine, r.tables()))
	require.Contains(t, text.String(), "diamond4  inprocess")
	require.Contains(t, markdown.String(), "| diamond4 | inprocess |")
}

func TestBurdens(t *testing.T) {
	t.Parallel()
	b := small(t)
	url, err := b.cluster.newDatabase(t.Context(), burdenedDatabase)
	require.NoError(t, err)
	require.NoError(t, b.seed(t.Context(), url, 50))
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the database goes away
	count := func(sql string) (n int) {
		require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&n))
		return n
	}
	const tasks = 51 // the model, and its copies
	require.Equal(t, tasks, count("select count(*) from tasker.tasks where state = 'complete'"))
	require.Equal(t, 4*tasks, count("select count(*) from tasker.workflow_steps where state = 'complete'"))
	require.Equal(t, tasks, count("select count(*) from tasker.task_identities i join tasker.tasks t using (task_id)"))
	for _, history := range []string{"task_transitions", "step_transitions"} {
		of := "select count(*) from tasker." + history
		model := count(of + " where task_id = (select max(task_id::text)::uuid from tasker.tasks)")
		require.Positive(t, model)
		require.Equal(t, tasks*model, count(of))
	}
	require.Equal(t, tasks, count(`select sum(n) from (
		select n from tasker.counts where kind = 'task' union all select delta from tasker.count_deltas where kind = 'task') all_of_them`))

	require.NoError(t, b.fillQueue(t.Context(), url, fanned))
	ts, err := b.comparisons(t.Context(), 20, fanned)
	require.NoError(t, err)
	require.Len(t, ts, 2)
	for _, table := range ts {
		require.Len(t, table.rows, 3)
	}
}
