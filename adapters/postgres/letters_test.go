package postgres_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// seedLetters gives tasks a dead letter each: of the first half open ones.
const seedLetters = `
with numbered as (
  select t.*, row_number() over (order by t.task_id) as n, count(*) over () as of from tasker.tasks t
), made as (
  insert into tasker.tasks_dlq (
    dlq_entry_uuid, task_id, ordinal, template_id, namespace, task_name, version, original_state, dlq_reason, dlq_timestamp,
    resolution_status, resolution_timestamp, fingerprint, resumed_in, task_snapshot, created_at, updated_at)
  select md5(n::text)::uuid, t.task_id, 1, t.template_id, t.namespace, 'a', '1.0.0', 'steps_in_process',
         case when n % 3 = 0 then 'staleness_timeout' else 'permanent_failure' end, t.created_at,
         case when n <= of / 2 then 'pending' else 'manually_resolved' end, case when n > of / 2 then now() end,
         md5((n % 50)::text), case when n > of / 2 and n % 2 = 0 then '00000000-0000-4000-8000-000000000001'::uuid end,
         jsonb_build_object('filler', repeat('x', 300)), t.created_at, t.created_at
  from numbered t
  returning dlq_entry_uuid, task_id, fingerprint, created_at
), told as (
  update tasker.tasks t set letters = 1, letter_open = n <= of / 2 from numbered where t.task_id = numbered.task_id
)
insert into tasker.dlq_failures (dlq_entry_uuid, task_id, step_no, step_name, dispatch_no, attempt, at, error_type, message, fingerprint)
select dlq_entry_uuid, task_id, 1, 'x', 1, 1, created_at, 'handler_error', 'no', fingerprint from made`

var seededResume = uuid.MustParse("00000000-0000-4000-8000-000000000001")

// At size, no statement about dead letters reads a whole table, but for those
// that are about all of them.
func TestLettersUseIndexes(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.register(t, workflow(t, "ns", "a", "1.0.0", "x"))
	f.exec(t, seedTasks, 20_000)
	f.exec(t, seedLetters)
	f.exec(t, "vacuum analyze tasker.tasks, tasker.workflow_steps, tasker.tasks_dlq, tasker.dlq_failures")
	list, err := f.Letters(t.Context(), ports.LetterFilter{Status: deadletter.Pending}, 0, 256)
	require.NoError(t, err)
	require.Len(t, list, 256)
	var entries []deadletter.EntryID
	for _, l := range list {
		entries = append(entries, l.ID)
	}
	reads, hot := f.connect(t), f.connect(t)
	for name, value := range postgres.HotSettings {
		_, err := hot.Exec(t.Context(), "select set_config($1, $2, false)", name, value)
		require.NoError(t, err)
	}
	for filter, lf := range map[string]ports.LetterFilter{
		"open":          {Status: deadletter.Pending},
		"any":           {},
		"a fingerprint": {Status: deadletter.Pending, Fingerprint: list[0].Fingerprint},
	} {
		for name, s := range postgres.LetterStatements(lf, entries, list[0].Task, seededResume) {
			conn, begin := reads, s.Begin
			if begin == "" {
				conn, begin = hot, "begin"
			}
			_, err := conn.Exec(t.Context(), begin)
			require.NoError(t, err, name)
			rows, err := conn.Query(t.Context(), "explain (analyze, timing off) "+s.SQL, s.Args...)
			require.NoError(t, err, name)
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err, name)
			_, err = conn.Exec(t.Context(), "rollback")
			require.NoError(t, err, name)
			text := strings.Join(lines, "\n")
			t.Logf("%s, %s: %s", filter, name, lines[len(lines)-1])
			if name == "count" || name == "outcome" { // of half the table, and of a quarter
				continue
			}
			require.NotContains(t, text, "Seq Scan on tasks", "%s, %s:\n%s", filter, name, text)
			require.NotContains(t, text, "Seq Scan on dlq_failures", "%s, %s:\n%s", filter, name, text)
			require.NotContains(t, text, "Seq Scan on workflow_steps", "%s, %s:\n%s", filter, name, text)
		}
	}
}

// The task's own word on its letters is that of the letters, whoever changes both.
func TestUpdatesAndOrdersAgree(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, workflow(t, "ns", "a", "1.0.0", "x"))[0]
	id := f.submit(t, submission(t, of))[0]
	for range 20 {
		f.report(t, f.claim(t, 1, "ns", "x"), failing(false))
		l, err := f.LetterOf(t.Context(), id)
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = f.Update(t.Context(), l.ID, ports.LetterUpdate{If: deadletter.Pending, Status: deadletter.PermanentlyFailed})
		})
		var refused plan.Refusal
		wg.Go(func() { refused = f.order(t, id, plan.Order{Failed: plan.ResetForRetry, Letter: l.Ordinal}) })
		wg.Wait()
		var agree bool
		require.NoError(t, f.connect(t).QueryRow(t.Context(), `
			select letter_open = exists (select from tasker.tasks_dlq d where d.task_id = t.task_id and resolution_status = 'pending')
			from tasker.tasks t where task_id = $1`, id).Scan(&agree))
		require.True(t, agree)
		after, err := f.Letter(t.Context(), l.ID)
		require.NoError(t, err)
		if refused.Refused() {
			require.Equal(t, plan.NotOpen, refused.Code)
			require.Equal(t, deadletter.PermanentlyFailed, after.Status)
			require.False(t, f.order(t, id, plan.Order{Failed: plan.ResetForRetry}).Refused())
		} else {
			require.Equal(t, deadletter.ManuallyResolved, after.Status)
		}
	}
}

func (f *fixture) order(t testing.TB, id ident.TaskID, o plan.Order) plan.Refusal {
	t.Helper()
	var refusals []plan.Refusal
	_, err := f.Run(t.Context(), ports.Scope{Tasks: []ident.TaskID{id}}, func(snap *plan.Snapshot) (ports.Writes, error) {
		d, r, err := plan.AfterWakes(snap, f.definition, plan.Rules{}, []plan.Wake{{Ref: ident.StepRef{Task: id}, Cause: plan.Ordered, Order: &o}})
		refusals = r
		return ports.Writes{Decision: d}, err
	})
	require.NoError(t, err)
	return refusals[0]
}

// Claims run into pauses that come and go: at the end every step was claimed,
// once, and nothing is left aside.
func TestClaimsAndPausesMeet(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, workflow(t, "ns", "a", "1.0.0", "x"))[0]
	const tasks = 400
	subs := make([]plan.Submission, tasks)
	for i := range subs {
		subs[i] = submission(t, of)
	}
	ids := f.submit(t, subs...)
	pauses := []ports.Pause{
		{Kind: ports.PauseTemplate, Name: task.Name{Namespace: "ns", Name: "a", Version: "1.0.0"}},
		{Kind: ports.PauseTask, Task: ids[tasks/2]},
		{Kind: ports.PauseNamespace, Name: task.Name{Namespace: "ns"}},
	}
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		seen    = map[ident.StepRef]int{}
		claimed = func(n int) int {
			steps := f.claim(t, n, "ns", "x")
			mu.Lock()
			defer mu.Unlock()
			for _, s := range steps {
				seen[s.Ref]++
			}
			return len(steps)
		}
		over = make(chan struct{})
	)
	for range 3 {
		wg.Go(func() {
			for {
				claimed(2)
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	for range 15 {
		for _, p := range pauses {
			_, err := f.Pause(t.Context(), p)
			require.NoError(t, err)
		}
		for _, p := range pauses {
			was, err := f.Unpause(t.Context(), p)
			require.NoError(t, err)
			require.True(t, was)
		}
	}
	close(over)
	wg.Wait()
	for n := 1; n > 0; {
		n = claimed(100)
	}
	require.Len(t, seen, tasks)
	for ref, n := range seen {
		require.Equal(t, 1, n, ref)
	}
	var left int
	require.NoError(t, f.connect(t).QueryRow(t.Context(), "select count(*) from tasker.river_job where kind = 'tasker_step'").Scan(&left))
	require.Zero(t, left)
}

// The end of a pause waits for a claim that is setting a job aside, and what that
// set aside comes back.
func TestTheEndOfAPauseWaitsForWhatIsSetAside(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, workflow(t, "ns", "a", "1.0.0", "x"))[0]
	id := f.submit(t, submission(t, of))[0]
	p := ports.Pause{Kind: ports.PauseTask, Task: id}
	_, err := f.Pause(t.Context(), p)
	require.NoError(t, err)
	claim, err := f.connect(t).Begin(t.Context())
	require.NoError(t, err)
	_, err = claim.Exec(t.Context(), "select from tasker.pauses where task_id = $1 for key share", id)
	require.NoError(t, err)
	_, err = claim.Exec(t.Context(), "update tasker.river_job set state = 'pending' where kind = 'tasker_step'")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := f.Unpause(t.Context(), p)
		ended <- err
	}()
	watching := f.connect(t)
	require.Eventually(t, func() bool {
		var waits bool
		err := watching.QueryRow(t.Context(), "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like '%delete from tasker.pauses%')").Scan(&waits)
		return err == nil && waits
	}, 2*time.Second, time.Millisecond)
	require.NoError(t, claim.Commit(t.Context()))
	require.NoError(t, <-ended)
	require.Len(t, f.claim(t, 1, "ns", "x"), 1)
}

// What is counted stays right when a task is purged, and another server hears
// that a pause is over.
func TestPurgingKeepsTheCounts(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, diamond(t))[0]
	first, second := submission(t, of), submission(t, of)
	f.submit(t, first, second)
	f.report(t, f.claim(t, 2, "orders", "validate"), failing(false))
	f.cancel(t, first.ID)
	total := func() map[string]int64 {
		all := map[string]int64{}
		counts, err := f.Counts(t.Context())
		require.NoError(t, err)
		for _, c := range counts {
			all[c.Kind+" "+c.State] += c.Count
		}
		return all
	}
	require.Equal(t, map[string]int64{"task cancelled": 1, "task blocked_by_failures": 1, "step cancelled": 4, "step error": 1, "step pending": 3}, total())
	require.NoError(t, f.Purge(t.Context(), first.ID))
	require.Equal(t, map[string]int64{"task blocked_by_failures": 1, "step error": 1, "step pending": 3}, total())
	var rows int
	require.NoError(t, f.connect(t).QueryRow(t.Context(), `
		select (select count(*) from tasker.step_transitions where task_id = $1) + (select count(*) from tasker.task_transitions where task_id = $1)
		     + (select count(*) from tasker.workflow_steps where task_id = $1) + (select count(*) from tasker.dlq_failures where task_id = $1)`,
		first.ID).Scan(&rows))
	require.Zero(t, rows)
}

func TestTheEndOfAPauseIsTold(t *testing.T) {
	t.Parallel()
	f := open(t)
	p := ports.Pause{Kind: ports.PauseNamespace, Name: task.Name{Namespace: "ns"}}
	_, err := f.Pause(t.Context(), p)
	require.NoError(t, err)
	conn := f.connect(t)
	_, err = conn.Exec(t.Context(), `listen "`+postgres.Channel+`"`)
	require.NoError(t, err)
	_, err = f.Unpause(t.Context(), p)
	require.NoError(t, err)
	told, err := conn.WaitForNotification(t.Context())
	require.NoError(t, err)
	require.JSONEq(t, `{"s": 0, "j": true}`, told.Payload, "to this server too")
}

// Ten thousand steps that a pause has set aside come back at once, found by key.
func TestManyStepsComeBackFromAPause(t *testing.T) {
	t.Parallel()
	f := open(t)
	of := f.register(t, workflow(t, "ns", "a", "1.0.0", "x"))[0]
	p := ports.Pause{Kind: ports.PauseTemplate, Name: task.Name{Namespace: "ns", Name: "a", Version: "1.0.0"}}
	_, err := f.Pause(t.Context(), p)
	require.NoError(t, err)
	const tasks = 10_000
	for range tasks / 1000 {
		subs := make([]plan.Submission, 1000)
		for i := range subs {
			subs[i] = submission(t, of)
		}
		f.submit(t, subs...)
		require.Empty(t, f.claim(t, 1000, "ns", "x"))
	}
	began := time.Now()
	was, err := f.Unpause(t.Context(), p)
	require.NoError(t, err)
	require.True(t, was)
	t.Logf("%d steps came back in %s", tasks, time.Since(began))
	var available int
	require.NoError(t, f.connect(t).QueryRow(t.Context(), "select count(*) from tasker.river_job where kind = 'tasker_step' and state = 'available'").Scan(&available))
	require.Equal(t, tasks, available)

	hot := f.connect(t)
	for name, value := range postgres.HotSettings {
		_, err := hot.Exec(t.Context(), "select set_config($1, $2, false)", name, value)
		require.NoError(t, err)
	}
	rows, err := hot.Query(t.Context(), "explain "+postgres.PutBack, "tasker_step", "template", "ns", "a", "1.0.0", ident.TaskID{})
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	text := strings.Join(lines, "\n")
	require.NotContains(t, text, "Seq Scan on tasks", text)
	require.NotContains(t, text, "Seq Scan on river_job", text)
}
