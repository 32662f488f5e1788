package river_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	riverqueue "github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

func pool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	p, err := pgxpool.New(t.Context(), pgtest.New(t, schema).URL)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func job(priority int32, queue plan.Queue) plan.Job {
	id, _ := uuid.NewV7()
	return plan.Job{Ref: ident.StepRef{Task: ident.NewTaskID(id), No: 7}, Dispatch: 3, Queue: queue, Priority: priority}
}

func send(t *testing.T, p *pgxpool.Pool, queue func(*pgx.Batch)) {
	t.Helper()
	var b pgx.Batch
	queue(&b)
	require.NoError(t, p.SendBatch(t.Context(), &b).Close())
}

// A job that we insert is a row that River's own insert would have written.
func TestJobsAreTheRowsThatRiverWrites(t *testing.T) {
	t.Parallel()
	p := pool(t)
	j := job(0, plan.Queue{Namespace: "orders", Handler: "orders.validate"})
	send(t, p, func(b *pgx.Batch) { river.NewQueue().Enqueue(b, []plan.Job{j}) })

	client, err := riverqueue.NewClient(riverpgxv5.New(p), &riverqueue.Config{Schema: postgres.Schema})
	require.NoError(t, err)
	tx, err := p.Begin(t.Context())
	require.NoError(t, err)
	_, err = client.InsertManyFastTx(t.Context(), tx, []riverqueue.InsertManyParams{{
		Args:       river.StepArgs{TaskID: j.Ref.Task, StepNo: j.Ref.No, Dispatch: j.Dispatch},
		InsertOpts: &riverqueue.InsertOpts{MaxAttempts: 1, Priority: 3, Queue: river.QueueName(j.Queue)},
	}})
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))

	rows, err := p.Query(t.Context(), `
		select to_jsonb(j) - 'id' - 'created_at' - 'scheduled_at', scheduled_at = created_at or scheduled_at >= created_at - interval '1 second'
		from tasker.river_job j order by id`)
	require.NoError(t, err)
	type row struct {
		Columns map[string]any
		Timely  bool
	}
	got, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (row, error) {
		var (
			raw []byte
			out row
		)
		if err := r.Scan(&raw, &out.Timely); err != nil {
			return out, err
		}
		return out, json.Unmarshal(raw, &out.Columns)
	})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.True(t, got[0].Timely)
	require.Equal(t, got[1].Columns, got[0].Columns)
	require.Equal(t, "available", got[0].Columns["state"])
}

type control struct{}

func (control) Kind() string { return "control" }

type controlWorker struct {
	riverqueue.WorkerDefaults[control]
	worked chan struct{}
}

func (w *controlWorker) Work(context.Context, *riverqueue.Job[control]) error {
	w.worked <- struct{}{}
	return nil
}

// A River client beside us, with queues of its own, leaves our jobs alone.
func TestRiverLeavesStepJobsAlone(t *testing.T) {
	t.Parallel()
	p := pool(t)
	j := job(100, plan.Queue{Namespace: "orders", Handler: "orders.validate"})
	send(t, p, func(b *pgx.Batch) { river.NewQueue().Enqueue(b, []plan.Job{j}) })
	before := dump(t, p)

	workers := riverqueue.NewWorkers()
	w := &controlWorker{worked: make(chan struct{}, 1)}
	require.NoError(t, riverqueue.AddWorkerSafely(workers, w))
	client, err := riverqueue.NewClient(riverpgxv5.New(p), &riverqueue.Config{
		Schema: postgres.Schema, Workers: workers, Queues: map[string]riverqueue.QueueConfig{"control": {MaxWorkers: 2}},
		FetchPollInterval: 20 * time.Millisecond, FetchCooldown: 10 * time.Millisecond,
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	for range 3 {
		_, err = client.Insert(t.Context(), control{}, &riverqueue.InsertOpts{Queue: "control"})
		require.NoError(t, err)
		<-w.worked
	}
	require.NoError(t, client.Stop(t.Context()))
	require.Equal(t, before, dump(t, p))
}

func dump(t *testing.T, p *pgxpool.Pool) string {
	t.Helper()
	var rows string
	err := p.QueryRow(t.Context(), "select jsonb_agg(to_jsonb(j))::text from tasker.river_job j where kind = 'tasker_step'").Scan(&rows)
	require.NoError(t, err)
	return rows
}

// A claim reads its queues by index, however much waits in others.
func TestClaimUsesIndexes(t *testing.T) {
	t.Parallel()
	p := pool(t)
	short := explainClaim(t, p, river.SQLClaimShort, false)
	whole := explainClaim(t, p, river.SQLClaim, true)
	require.Less(t, len(short), len(whole), "what pauses need is left out while there are none")
	require.NotContains(t, strings.Join(short, "\n"), "on templates")
}

func explainClaim(t *testing.T, p *pgxpool.Pool, sql string, paused bool) (plans []string) {
	t.Helper()
	send(t, p, func(b *pgx.Batch) {
		for _, s := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin"} {
			b.Queue("set " + s + " = off")
		}
		b.Queue("explain (costs off) "+sql, []string{"a", "b"}, []int32{1, 1}, 1, time.Duration(0), []string{"a", "b"}, paused).
			Query(func(rows pgx.Rows) (err error) {
				plans, err = pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
	})
	require.NotEmpty(t, plans)
	text := strings.Join(plans, "\n")
	for _, slow := range []string{"Seq Scan", "Hash Join", "Merge Join", "Sort"} {
		require.NotContains(t, text, slow)
	}
	for i, line := range plans {
		// Pauses are few, and found by their key.
		require.True(t, !strings.Contains(line, "Bitmap") || strings.Contains(line, "pauses") || strings.Contains(line, "BitmapOr"), line)
		if strings.Contains(line, "using workflow_steps_pkey") {
			require.Contains(t, plans[i+1], "step_no =", "a step is found by its whole key:\n%s", text)
		}
	}
	return plans
}

// Jobs whose dispatch is not live are removed and counted; those that a locked
// step belongs to stay.
func TestClaimRemovesDeadJobsOnly(t *testing.T) {
	t.Parallel()
	p := pool(t)
	q := plan.Queue{Namespace: "orders", Handler: "gone"}
	queue := river.NewQueue()
	send(t, p, func(b *pgx.Batch) { queue.Enqueue(b, []plan.Job{job(0, q), job(0, q), job(0, q)}) })
	var reply ports.ClaimReply
	ask := ports.ClaimRequest{Queues: []plan.Queue{{Namespace: "other", Handler: "x"}, q}, Limits: []int{5, 2}}
	send(t, p, func(b *pgx.Batch) { queue.Claim(b, ask, 1, 0, &reply) })
	require.False(t, reply.Again)
	require.Empty(t, reply.Steps)
	require.Equal(t, []int{0, 2}, reply.Taken)
	var left int
	require.NoError(t, p.QueryRow(t.Context(), "select count(*) from tasker.river_job").Scan(&left))
	require.Equal(t, 1, left)
}
