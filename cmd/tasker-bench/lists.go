package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// seedLists fills the tasks, and only those: a list reads the steps of the page
// alone. They have ended over the last 30 days, but for the 2,000 newest, in 20
// namespaces with three templates each, one in a hundred with a dead letter.
var seedLists = []string{
	`insert into tasker.templates (namespace, name, version, revision, content_hash, definition)
	select 'lists' || n, 'job' || j, '1.0.0', 1, m.content_hash, m.definition
	from generate_series(0, 19) n, generate_series(0, 2) j, (select * from tasker.templates limit 1) m`,
	`insert into tasker.tasks (
	  task_id, created_at, updated_at, requested_at, completed_at, entered_at, template_id, priority, total, open, active, retrying,
	  failed, correlation_id, state, namespace, initiator, source_system, reason, tags, context, letters)
	select (left(tasker.partition_bound(m.at)::text, 14) || '7' || left(md5(i::text), 3) || '-8' || substr(md5(i::text), 4, 3) || '-'
	         || substr(md5(i::text), 7, 7) || '00000')::uuid,
	       m.at, m.ended, m.at, case when m.state <> 'steps_in_process' then m.ended end, m.ended, m.template_id, i % 5, 4,
	       case when m.state in ('complete', 'cancelled', 'resolved_manually') then 0 else 4 end, 0, 0, 0,
	       gen_random_uuid(), m.state, m.namespace, 'user' || i % 2000, 'system' || i % 10, 'bench',
	       jsonb_build_array('all', 'tag' || i % 100), '{"order_id": 42, "amount": 12.5}', (m.state = 'error')::integer
	from (
	  select i, now() - interval '30 days' + i * interval '30 days' / $1::bigint as at,
	         now() - interval '30 days' + i * interval '30 days' / $1::bigint + interval '1 second' * (i * 7919 % 300) as ended,
	         case when i > $1::bigint - 2000 then 'steps_in_process' when i % 100 = 7 then 'error' when i % 100 = 8 then 'cancelled'
	              when i % 1000 = 9 then 'resolved_manually' else 'complete' end as state, t.template_id, t.namespace
	  from generate_series(1, $1::bigint) i
	  join (select row_number() over (order by template_id) - 1 as n, * from tasker.templates where namespace like 'lists%') t on t.n = i * 31 % 60
	) m`,
	`insert into tasker.tasks_dlq (
	  dlq_entry_uuid, task_id, ordinal, template_id, namespace, task_name, version, original_state, dlq_reason, dlq_timestamp,
	  resolution_status, task_snapshot, created_at, updated_at)
	select gen_random_uuid(), t.task_id, 1, t.template_id, t.namespace, 'job', '1.0.0', 'blocked_by_failures', 'permanent_failure',
	       t.completed_at, 'permanently_failed', '{}', t.completed_at, t.completed_at
	from tasker.tasks t where t.letters = 1`,
	`insert into tasker.dlq_failures (
	  dlq_entry_uuid, task_id, step_no, step_name, dispatch_no, attempt, at, error_type, message, fingerprint)
	select d.dlq_entry_uuid, d.task_id, 1, 'a', 1, 1, d.created_at, 'handler_error',
	       'card ' || left(md5(d.task_id::text), 2) || ' was declined by the bank', 'x'
	from tasker.tasks_dlq d`,
	`insert into tasker.count_deltas select template_id, 'task', state, count(*) from tasker.tasks where reason = 'bench' group by 1, 3`,
}

// listCase is a question that people ask.
type listCase struct {
	name string
	ask  func(r *rand.Rand) (ports.TaskFilter, ports.TaskPage)
}

// listed is what the cases choose their words from.
type listed struct {
	now     time.Time
	samples []ports.TaskRecord // spread over all
}

func (l *listed) cases() []listCase {
	one := func(r *rand.Rand) ports.TaskRecord { return l.samples[r.IntN(len(l.samples))] }
	moment := func(r *rand.Rand) time.Time { return l.now.Add(-time.Duration(r.Int64N(int64(29 * 24 * time.Hour)))) }
	filtered := func(set func(*rand.Rand, *ports.TaskFilter)) func(*rand.Rand) (ports.TaskFilter, ports.TaskPage) {
		return func(r *rand.Rand) (f ports.TaskFilter, p ports.TaskPage) {
			set(r, &f)
			return f, p
		}
	}
	sorted := func(order ports.TaskOrder, up bool, later bool) func(*rand.Rand) (ports.TaskFilter, ports.TaskPage) {
		return func(r *rand.Rand) (f ports.TaskFilter, p ports.TaskPage) {
			p.Order, p.Ascending = order, up
			if later {
				t := one(r)
				p.After.ID, p.Total = t.ID, ports.NoTotal
				if order != ports.ByCreation {
					p.After.At = t.UpdatedAt
				}
			}
			return f, p
		}
	}
	return []listCase{
		{"all, newest first", sorted(ports.ByCreation, false, false)},
		{"all, a later page by cursor", sorted(ports.ByCreation, false, true)},
		{"all, oldest first", sorted(ports.ByCreation, true, false)},
		{"by last change", sorted(ports.ByUpdate, false, false)},
		{"by last change, a later page", sorted(ports.ByUpdate, false, true)},
		{"by completion", sorted(ports.ByCompletion, false, false)},
		{"by completion, oldest first, a later page", sorted(ports.ByCompletion, true, true)},
		{"namespace", filtered(func(r *rand.Rand, f *ports.TaskFilter) { f.Namespace = one(r).Namespace })},
		{"template", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			t := one(r)
			f.Namespace, f.Name, f.Version = t.Namespace, t.Name, t.Version
		})},
		{"name alone", filtered(func(r *rand.Rand, f *ports.TaskFilter) { f.Name = one(r).Name })},
		{"a rare state", filtered(func(_ *rand.Rand, f *ports.TaskFilter) { f.States = []task.State{task.ResolvedManually} })},
		{"a state that no task is in", filtered(func(_ *rand.Rand, f *ports.TaskFilter) { f.States = []task.State{task.WaitingForRetry} })},
		{"all but complete", filtered(func(_ *rand.Rand, f *ports.TaskFilter) {
			for _, s := range task.States() {
				if s != task.Complete {
					f.States = append(f.States, s)
				}
			}
		})},
		{"namespace and states", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			f.Namespace, f.States = one(r).Namespace, []task.State{task.Error, task.Cancelled}
		})},
		{"correlation id", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			f.CorrelationID = uuid.NullUUID{UUID: one(r).CorrelationID, Valid: true}
		})},
		{"a correlation id that there is not", filtered(func(_ *rand.Rand, f *ports.TaskFilter) {
			f.CorrelationID = uuid.NullUUID{UUID: uuid.New(), Valid: true}
		})},
		{"initiator, 1 in 2,000", filtered(func(r *rand.Rand, f *ports.TaskFilter) { f.Initiator = one(r).Initiator })},
		{"an initiator that there is not", filtered(func(_ *rand.Rand, f *ports.TaskFilter) { f.Initiator = "nobody" })},
		{"source system, 1 in 10", filtered(func(r *rand.Rand, f *ports.TaskFilter) { f.SourceSystem = one(r).SourceSystem })},
		{"tag, 1 in 100", filtered(func(r *rand.Rand, f *ports.TaskFilter) { f.Tags = one(r).Tags })},
		{"created in an hour", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			f.From = moment(r)
			f.Until = f.From.Add(time.Hour)
		})},
		{"created in a week, namespace", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			f.From, f.Namespace = moment(r), one(r).Namespace
			f.Until = f.From.Add(7 * 24 * time.Hour)
		})},
		{"completed in an hour", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			f.CompletedFrom = moment(r)
			f.CompletedUntil = f.CompletedFrom.Add(time.Hour)
		})},
		{"completed in a week", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			f.CompletedFrom = moment(r)
			f.CompletedUntil = f.CompletedFrom.Add(7 * 24 * time.Hour)
		})},
		{"changed in an hour", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			f.UpdatedFrom = moment(r)
			f.UpdatedUntil = f.UpdatedFrom.Add(time.Hour)
		})},
		{"changed in a week", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			f.UpdatedFrom = moment(r)
			f.UpdatedUntil = f.UpdatedFrom.Add(7 * 24 * time.Hour)
		})},
		{"text in an error, 1 in 256 failures", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			f.Error = fmt.Sprintf("card %02x was DECLINED", r.IntN(256))
		})},
		{"a text that no error has", filtered(func(_ *rand.Rand, f *ports.TaskFilter) { f.Error = "disk full" })},
		{"namespace, state, tag and week", filtered(func(r *rand.Rand, f *ports.TaskFilter) {
			t := one(r)
			f.Namespace, f.States, f.Tags, f.From = t.Namespace, []task.State{task.Complete}, t.Tags[:1], moment(r)
			f.Until = f.From.Add(7 * 24 * time.Hour)
		})},
	}
}

// listTarget is the target for each case.
const listTarget = 50 // milliseconds, p95

// measureLists seeds a database and asks for lists of its tasks.
func (b *bench) measureLists(ctx context.Context, n int) (_ []table, err error) {
	url, err := b.cluster.newDatabase(ctx, burdenedDatabase)
	if err != nil {
		return nil, err
	}
	s, err := startServer(ctx, serverConfig{url: url, slots: defaultSlots, counter: newCounter(false)}, b.log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	b.say("seeding %s tasks", found(float64(n)))
	if err := b.fillLists(ctx, url, n); err != nil {
		return nil, err
	}
	reads, l := s.Parts().App, listed{now: time.Now()}
	for i := range 500 {
		page, err := reads.ListTasks(ctx, ports.TaskFilter{Until: l.now.Add(-time.Duration(i) * 30 * 24 * time.Hour / 500)}, ports.TaskPage{Limit: 1})
		if err != nil {
			return nil, err
		}
		for _, t := range page.Tasks {
			l.samples = append(l.samples, t.TaskRecord)
		}
	}
	out := table{
		title: fmt.Sprintf("Pages of 25 among %s tasks", found(float64(n))),
		head: []string{
			"filter or order", "p50 ms", "p95", "largest", "tasks on a page", "short, and goes on, %", "estimates, %",
			fmt.Sprintf("p95 ≤ %d ms", listTarget),
		},
	}
	for _, c := range l.cases() {
		row, err := b.measureList(ctx, c, reads.ListTasks)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		out.rows = append(out.rows, row)
	}
	return []table{out}, nil
}

type lister func(context.Context, ports.TaskFilter, ports.TaskPage) (app.Page, error)

func (b *bench) measureList(ctx context.Context, c listCase, list lister) ([]string, error) {
	const (
		pageSize = 25
		warm     = 5
	)
	var (
		r                   = rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: the same questions each time
		took                []time.Duration
		tasks, short, vague int
	)
	times := max(20, b.scaled(200))
	for i := range warm + times {
		f, p := c.ask(r)
		if p.Limit = pageSize; p.After.IsZero() {
			p.Total = ports.CheapTotal
		}
		began := time.Now()
		page, err := list(ctx, f, p)
		if err != nil {
			return nil, err
		}
		if i < warm {
			continue
		}
		took = append(took, time.Since(began))
		tasks += len(page.Tasks)
		if len(page.Tasks) < pageSize && !page.Next.IsZero() {
			short++
		}
		if page.AtLeast {
			vague++
		}
	}
	ms := milliseconds(took)
	v := atMost(c.name, listTarget, quantile(ms, 0.95), true)
	b.say("%s: p50 %s ms, p95 %s", c.name, found(rounded(median(ms))), found(rounded(v.Got)))
	share := func(n int) string { return found(rounded(100 * float64(n) / float64(times))) }
	return []string{
		c.name, found(rounded(median(ms))), found(rounded(v.Got)), found(rounded(quantile(ms, 1))),
		found(rounded(float64(tasks) / float64(times))), share(short), share(vague), v.mark(),
	}, nil
}

func (b *bench) fillLists(ctx context.Context, url string, n int) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what it did is committed
	for i, sql := range seedLists {
		var args []any
		if i == 1 {
			args = append(args, n)
		}
		if _, err := conn.Exec(ctx, sql, args...); err != nil {
			return fmt.Errorf("seed: %w", err)
		}
	}
	// As autovacuum would have left it by then.
	if _, err := conn.Exec(ctx, "vacuum (analyze)"); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	_, err = conn.Exec(ctx, "checkpoint")
	return err
}
