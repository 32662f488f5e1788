package postgres_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/core/app/verify"
	"github.com/tasker-go/tasker/core/domain/audit"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// The test may take its time: what is put in late is much later.
var auditLimits = audit.Limits{Grace: 10 * time.Minute, Lease: 10 * time.Minute}

func verifyURL(t *testing.T, url string) (verify.Report, []audit.Violation) {
	t.Helper()
	db, err := postgres.OpenAudit(t.Context(), url, river.StepArgs{}.Kind())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) }()
	var found []audit.Violation
	report, err := verify.Run(t.Context(), db, auditLimits, func(v audit.Violation) { found = append(found, v) })
	require.NoError(t, err)
	require.Len(t, found, report.Violations)
	return report, found
}

// populate leaves a task of each kind in a database, and returns their ids.
func populate(t *testing.T, url string) map[string]ident.TaskID {
	t.Helper()
	f := openURL(t, url, 0)
	defer f.Close()
	of := f.register(t, diamond(t))[0]
	ids := map[string]ident.TaskID{}
	create := func(kind string) {
		s := submission(t, of)
		s.Identity[0] = byte(len(ids) + 1)
		if kind == "delayed" {
			s.StartAt = time.Now().Add(time.Hour)
		}
		ids[kind] = f.submit(t, s)[0]
	}
	run := func(handlers ...string) { f.report(t, f.claim(t, 1, "orders", handlers...), succeed) }

	for _, kind := range []string{"complete", "another", "third"} {
		create(kind)
		run("validate")
		run("reserve", "charge")
		run("ship")
	}
	create("retrying")
	run("validate")
	f.report(t, f.claim(t, 1, "orders", "reserve"), failing(true))
	run("charge")
	create("blocked")
	run("validate")
	f.report(t, f.claim(t, 1, "orders", "charge"), failing(false))
	run("reserve")
	create("cancelled")
	run("validate")
	f.cancel(t, ids["cancelled"])
	create("running")
	run("validate")
	require.Len(t, f.claim(t, 1, "orders", "reserve"), 1)
	create("paused")
	_, err := f.Pause(t.Context(), ports.Pause{Kind: ports.PauseTask, Task: ids["paused"], By: "somebody", Why: "to see"})
	require.NoError(t, err)
	require.Empty(t, f.claim(t, 1, "orders", "validate"), "its job is set aside")
	create("delayed")
	require.NoError(t, f.FoldCounts(t.Context()))
	create("waiting") // counted, and not folded
	return ids
}

// populated is a database with tasks in it; each test has its own copy.
var populated = func() func(t *testing.T) (string, map[string]ident.TaskID) {
	var (
		ids  map[string]ident.TaskID
		once sync.Mutex
		key  = fstest.MapFS{"run": {Data: []byte(rand.Text())}}
	)
	return func(t *testing.T) (string, map[string]ident.TaskID) {
		t.Helper()
		once.Lock() // t must outlive what is made with it
		defer once.Unlock()
		db := pgtest.New(t, pgtest.Schema{Files: key, Migrate: func(ctx context.Context, url string) error {
			if err := schema.Migrate(ctx, url); err != nil {
				return err
			}
			ids = populate(t, url)
			return nil
		}})
		return db.URL, ids
	}
}()

// A corruption is SQL in which {kind} stands for the id of a task.
var auditCorruptions = map[string]struct {
	rule audit.Rule
	sql  string
}{
	"a lost job": {audit.RuleLostJob, `delete from tasker.river_job where args->>'task_id' = '{waiting}'`},
	"a double job": {audit.RuleDoubleJob, `
		insert into tasker.river_job (args, kind, max_attempts, queue, state)
		select args, kind, max_attempts, queue, state from tasker.river_job where args->>'task_id' = '{waiting}'`},
	"a job of a dispatch to come": {audit.RuleStrayJob, `
		insert into tasker.river_job (args, kind, max_attempts, queue)
		select jsonb_set(args, '{dispatch_no}', '2'), kind, max_attempts, queue from tasker.river_job where args->>'task_id' = '{waiting}'`},
	"a job of no task": {audit.RuleStrayJob, `
		insert into tasker.river_job (args, kind, max_attempts, queue) values ('{"task_id": "none"}', 'tasker_step', 1, 'q')`},
	"a job that River runs": {audit.RuleStrayJob, `
		update tasker.river_job set state = 'running' where args->>'task_id' = '{waiting}'`},
	"a job after the end": {audit.RuleLeftover, `
		insert into tasker.river_job (args, kind, max_attempts, queue)
		values ('{"task_id": "{complete}", "step_no": 1, "dispatch_no": 1}', 'tasker_step', 1, 'q')`},
	"a job set aside for nothing": {audit.RuleParked, `delete from tasker.pauses`},
	"a wrong counter":             {audit.RuleCounters, `update tasker.tasks set active = active - 1 where task_id = '{running}'`},
	"a wrong count":               {audit.RuleCounts, `update tasker.counts set n = n + 1 where kind = 'step' and state = 'complete'`},
	"a lost delta":                {audit.RuleCounts, `delete from tasker.count_deltas`},
	"an illegal move of a task":   {audit.RuleLegal, `update tasker.task_transitions set path = '{}' where task_id = '{complete}'`},
	"an illegal move of a step": {audit.RuleLegal, `
		update tasker.step_transitions set to_state = 'error' where task_id = '{complete}' and to_state = 'in_progress'`},
	"a state of nowhere": {audit.RuleLegal, `
		update tasker.step_transitions set path = '{lost}' where task_id = '{complete}' and to_state = 'complete'`},
	"a gap": {audit.RuleHistory, `delete from tasker.step_transitions where task_id = '{complete}' and to_state = 'in_progress'`},
	"a state without history": {audit.RuleHistory, `
		update tasker.workflow_steps set state = 'resolved_manually' where task_id = '{complete}' and step_no = 4`},
	"a step settled twice": {audit.RuleFinal, `
		insert into tasker.step_transitions select * from tasker.step_transitions where task_id = '{complete}' and to_state = 'complete'`},
	"rest in passing": {audit.RulePassing, `
		alter table tasker.tasks drop constraint tasks_state;
		update tasker.tasks set state = 'evaluating_results' where task_id = '{running}'`},
	"rest elsewhere":       {audit.RuleRest, `update tasker.tasks set state = 'waiting_for_retry' where task_id = '{running}'`},
	"an orphan lease":      {audit.RuleLease, `update tasker.workflow_steps set lease_owner = 999 where task_id = '{running}' and state = 'in_progress'`},
	"a lease that ran out": {audit.RuleLease, `update tasker.instances set expires_at = now() - interval '1 hour'`},
	"a lease after the end": {audit.RuleLeftover, `
		alter table tasker.workflow_steps drop constraint workflow_steps_lease;
		update tasker.workflow_steps set lease_owner = 1 where task_id = '{complete}' and step_no = 1`},
	"a missing dead letter": {audit.RuleLetter, `
		delete from tasker.tasks_dlq; update tasker.tasks set letters = 0, letter_open = false`},
	"a missing failure":         {audit.RuleLetter, `delete from tasker.dlq_failures`},
	"a dead letter that is hid": {audit.RuleLetterFlag, `update tasker.tasks set letter_open = false`},
	"two open dead letters": {audit.RuleTwoLetters, `
		drop index tasker.tasks_dlq_open;
		insert into tasker.tasks_dlq (dlq_entry_uuid, task_id, ordinal, template_id, namespace, task_name, version,
		  original_state, dlq_reason, dlq_timestamp, task_snapshot, created_at, updated_at)
		select gen_random_uuid(), task_id, ordinal + 1, template_id, namespace, task_name, version,
		  original_state, dlq_reason, dlq_timestamp, task_snapshot, created_at, updated_at from tasker.tasks_dlq`},
	"a step started early": {audit.RuleEarly, `
		update tasker.step_transitions set at = at - interval '1 hour' where task_id = '{complete}' and step_no = 4`},
	"a step started before its parents are done": {audit.RuleEarly, `
		update tasker.workflow_steps set state = 'enqueued', dispatch_no = 1 where task_id = '{running}' and step_no = 4`},
	"a step that waits for nobody":      {audit.RuleParents, `update tasker.workflow_steps set open_parents = 1 where task_id = '{complete}' and step_no = 4`},
	"a step that is gone":               {audit.RuleParents, `delete from tasker.workflow_steps where task_id = '{complete}' and step_no = 1`},
	"an overdue step":                   {audit.RuleOverdue, `update tasker.workflow_steps set wake_at = now() - interval '1 hour' where wake_at is not null`},
	"an overdue task":                   {audit.RuleOverdue, `update tasker.tasks set wake_at = now() - interval '1 hour' where task_id = '{delayed}'`},
	"a timer after the end":             {audit.RuleLeftover, `update tasker.tasks set wake_at = now() where task_id = '{cancelled}'`},
	"a start that never comes":          {audit.RuleStuck, `update tasker.tasks set wake_at = null where task_id = '{delayed}'`},
	"a retry that never comes":          {audit.RuleStuck, `update tasker.workflow_steps set wake_at = null where task_id = '{retrying}'`},
	"attempts beyond the limit":         {audit.RuleAttempts, `update tasker.workflow_steps set attempts = 3 where task_id = '{complete}' and step_no = 1`},
	"an attempt beyond the limit":       {audit.RuleAttempts, `update tasker.step_transitions set attempt = 3 where task_id = '{complete}' and to_state = 'in_progress'`},
	"a dispatch that went up by itself": {audit.RuleDispatch, `update tasker.workflow_steps set dispatch_no = 2 where task_id = '{complete}' and step_no = 1`},
	"a result without history":          {audit.RuleResult, `update tasker.workflow_steps set result = '1' where task_id = '{running}' and step_no = 4`},
	"an identity of no task": {audit.RuleIdentity, `
		insert into tasker.task_identities (identity, task_id) values ('\x01ff', '00000000-0000-7000-8000-000000000000')`},
	"a task that is gone":     {audit.RuleOwnerless, `delete from tasker.tasks where task_id = '{complete}'`},
	"a template that is gone": {audit.RuleTemplate, `update tasker.tasks set template_id = 999 where task_id = '{complete}'`},
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

func TestAuditFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	url, ids := populated(t)
	report, found := verifyURL(t, url)
	require.Empty(t, found)
	require.Equal(t, verify.Report{Tasks: 10, Steps: 40}, report)

	for name, c := range auditCorruptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := populated(t)
			sql := placeholder.ReplaceAllStringFunc(c.sql, func(s string) string {
				if id, ok := ids[strings.Trim(s, "{}")]; ok {
					return id.String()
				}
				return s
			})
			conn, err := pgx.Connect(t.Context(), url)
			require.NoError(t, err)
			results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
			require.NoError(t, err)
			require.Positive(t, results[len(results)-1].CommandTag.RowsAffected(), "nothing was planted")
			require.NoError(t, conn.Close(t.Context()))

			_, found := verifyURL(t, url)
			require.True(t, slices.ContainsFunc(found, func(v audit.Violation) bool { return v.Rule == c.rule }),
				"want a violation of %q, got %v", c.rule, found)
		})
	}
}

// Pages are cut where they have enough, and nothing falls between two.
func TestAuditPages(t *testing.T) {
	t.Parallel()
	url, ids := populated(t)
	db, err := postgres.OpenAudit(t.Context(), url, river.StepArgs{}.Kind())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) }()
	extent, err := db.Extent(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, extent.Jobs, "of the paused, the running and the waiting task")
	require.Equal(t, ids["waiting"], extent.Last)
	seen := map[ident.TaskID]task.State{}
	for after := (ident.TaskID{}); ; {
		cases, now, err := db.Cases(t.Context(), after, extent.Last, 3)
		require.NoError(t, err)
		if len(cases) == 0 {
			break
		}
		require.WithinDuration(t, time.Now(), now, time.Minute)
		require.LessOrEqual(t, len(cases), 3)
		for _, c := range cases {
			require.NotContains(t, seen, c.Task.ID)
			seen[c.Task.ID], after = c.Task.State, c.Task.ID
			require.Len(t, c.Steps, 4)
			require.Equal(t, c.Task.ID == ids["paused"], c.Task.Paused)
		}
	}
	require.Len(t, seen, len(ids))
	require.Equal(t, task.BlockedByFailures, seen[ids["blocked"]])
	none, _, err := db.Cases(t.Context(), ident.TaskID{}, ids["complete"], 100)
	require.NoError(t, err)
	require.Len(t, none, 1, "what is newer is left out")
}

// Nothing of the reading can write, nor does it take an instance number.
func TestAuditOnlyReads(t *testing.T) {
	t.Parallel()
	url, _ := populated(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	written := func() (n string) {
		require.NoError(t, conn.QueryRow(t.Context(), `
			select (select count(*) from tasker.instances) || ' ' || (select last_value from tasker.instance_numbers)`).Scan(&n))
		return n
	}
	before := written()
	verifyURL(t, url)
	require.Equal(t, before, written())
}

// A hundred thousand finished steps are looked at in seconds.
func TestAuditIsFast(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("makes many rows")
	}
	url, ids := populated(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	// Copies of a complete task, under ids of their own.
	copies := func(table string) string {
		var columns string
		require.NoError(t, conn.QueryRow(t.Context(), `
			select string_agg(case attname when 'task_id' then 'n.id' else 'r.' || attname end, ', ' order by attnum)
			from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`, "tasker."+table).Scan(&columns))
		return fmt.Sprintf("insert into tasker.%s select %s from copies n cross join tasker.%s r where r.task_id = '%s'",
			table, columns, table, ids["complete"])
	}
	script := []string{`create temporary table copies as
		select (substr('` + ids["complete"].String() + `', 1, 19) || lpad(to_hex(n), 4, '0') || '-' || lpad(to_hex(n), 7, '0') || '00000')::uuid as id
		from generate_series(1, 25000) n`}
	for _, table := range []string{"tasks", "workflow_steps", "task_transitions", "step_transitions"} {
		script = append(script, copies(table))
	}
	script = append(script, `
		insert into tasker.count_deltas select template_id, 'task', 'complete', 25000 from tasker.templates
		union all select template_id, 'step', 'complete', 100000 from tasker.templates`)
	for _, sql := range script {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	began := time.Now()
	report, found := verifyURL(t, url)
	took := time.Since(began)
	require.Empty(t, found[:min(len(found), 5)])
	require.Equal(t, 25010, report.Tasks)
	t.Logf("%d steps in %s", report.Steps, took)
	// Two or three seconds on a quiet machine; the race detector on a busy one
	// takes several times that. What reads everything for each page takes longer.
	require.Less(t, took, 45*time.Second)
}
