package main

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/test/crash/checker"
	"github.com/tasker-go/tasker/test/crash/program"
	"github.com/tasker-go/tasker/test/crash/runlog"
	"github.com/tasker-go/tasker/worker"
)

// finished runs some tasks to their end in a database, and returns a connection
// to it and the evidence.
func finished(t *testing.T) (*pgx.Conn, checker.Evidence) {
	t.Helper()
	url := pgtest.Empty(t).URL
	path := filepath.Join(t.TempDir(), "runs.log")
	log, err := runlog.Open(path)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ready, ended := make(chan tasker.Server, 1), make(chan error, 1)
	go func() {
		ended <- tasker.Run(ctx, tasker.Options{
			Templates: templates, Slots: slots,
			Handlers: worker.Handlers{"crash.work": worker.Typed(work{log}.handle)},
			Args:     []string{"--database-url", url, "--web-port", "0", "--grpc-port", "0", "--log-level", "error"},
			Ready:    func(_ context.Context, s tasker.Server) { ready <- s },
		})
	}()
	var server tasker.Server
	select {
	case server = <-ready:
	case err := <-ended:
		require.NoError(t, err)
	}
	client := program.NewClient(10 * time.Second)
	e := checker.Evidence{MaxAttempts: maxAttempts}
	for n := range 6 {
		a, err := client.Create(ctx, server.HTTPAddr, "crash", "diamond", input{N: n, Seed: 1})
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, a.Status, a.Body)
		e.Acknowledged = append(e.Acknowledged, a.TaskID)
	}
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	require.Eventually(t, func() bool {
		var open int
		require.NoError(t, conn.QueryRow(ctx, "select count(*) from tasker.tasks where state <> 'complete'").Scan(&open))
		return open == 0
	}, 20*time.Second, 5*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	e.Log, err = runlog.NewReader(path).More()
	require.NoError(t, err)
	return conn, e
}

// corruption is what is planted, in the database or in what is known from
// outside, and the rule that must notice.
type corruption struct {
	rule string
	sql  string
	log  func([]runlog.Line) []runlog.Line
	tell func(*checker.Evidence)
}

// One row of some kind, the same at each call.
const (
	oneTask   = `(select min(task_id::text)::uuid from tasker.tasks)`
	oneEnd    = `ctid = (select min(ctid) from tasker.step_transitions where to_state = 'complete')`
	oneClaim  = `ctid = (select min(ctid) from tasker.step_transitions where to_state = 'in_progress')`
	lastStep  = `task_id = ` + oneTask + ` and step_no = 4`
	firstStep = `task_id = ` + oneTask + ` and step_no = 1`
)

var corruptions = map[string]corruption{
	"an acknowledged task that is not there": {rule: checker.RuleAcknowledged, tell: func(e *checker.Evidence) {
		e.Acknowledged = append(e.Acknowledged, "01a20e24-8932-72b9-ba6d-b48e6f000000")
	}},
	"a task that did not end": {rule: checker.RuleEnded,
		sql: `update tasker.tasks set state = 'steps_in_process' where task_id = ` + oneTask},
	"a step that did not end": {rule: checker.RuleEnded,
		sql: `update tasker.workflow_steps set state = 'error' where ` + lastStep},
	"a step's move that is no move": {rule: checker.RuleLegal,
		sql: `update tasker.step_transitions set path = '{}' where ` + oneEnd},
	"a task's move that is no move": {rule: checker.RuleLegal,
		sql: `update tasker.task_transitions set path = '{}' where task_id = ` + oneTask + ` and to_state = 'complete'`},
	"a step at rest in a passing state": {rule: checker.RuleLegal,
		sql: `update tasker.step_transitions set to_state = 'enqueued_for_orchestration', path = '{}' where ` + oneEnd},
	"a gap in a step's history": {rule: checker.RuleContinuous,
		sql: `delete from tasker.step_transitions where ` + oneClaim},
	"a gap in a task's history": {rule: checker.RuleContinuous,
		sql: `delete from tasker.task_transitions where task_id = ` + oneTask + ` and from_state = 'pending'`},
	"a step's state that history does not know": {rule: checker.RuleContinuous,
		sql: `update tasker.workflow_steps set state = 'cancelled' where ` + lastStep},
	"a step settled twice": {rule: checker.RuleOnce, sql: `
		insert into tasker.step_transitions
		select task_id, step_no, dispatch_no, attempt, at + interval '1 ms', server, from_state, to_state, path, failure
		from tasker.step_transitions where ` + oneEnd},
	"a task ended twice": {rule: checker.RuleOnce, sql: `
		insert into tasker.task_transitions select * from tasker.task_transitions where to_state = 'complete' limit 1`},
	"an attempt beyond the limit": {rule: checker.RuleAttempts,
		sql: `update tasker.step_transitions set attempt = 4 where ` + oneClaim},
	"more attempts than failures": {rule: checker.RuleAttempts,
		sql: `update tasker.workflow_steps set attempts = attempts + 1 where ` + lastStep},
	"a run beyond the limit": {rule: checker.RuleAttempts, log: func(ls []runlog.Line) []runlog.Line {
		ls[0].Attempt = 4
		return ls
	}},
	"a step claimed before its parents were complete": {rule: checker.RuleEarly,
		sql: `update tasker.step_transitions set at = at - interval '1 hour' where ` + lastStep},
	"a step enqueued before its parents were complete": {rule: checker.RuleEarly,
		sql: `update tasker.step_transitions set at = at - interval '1 hour' where ` + lastStep + ` and to_state = 'enqueued'`},
	"a handler that began before its parents returned": {rule: checker.RuleEarly, log: func(ls []runlog.Line) []runlog.Line {
		i := slices.IndexFunc(ls, func(l runlog.Line) bool { return l.Step == "end" && l.Kind == runlog.Begin })
		begin := ls[i]
		return slices.Insert(slices.Delete(ls, i, i+1), 0, begin)
	}},
	"a result of no run": {rule: checker.RuleResult,
		sql: `update tasker.workflow_steps set result = '{"run": "1.1"}' where ` + lastStep},
	"no result": {rule: checker.RuleResult,
		sql: `update tasker.workflow_steps set result = null where ` + lastStep},
	"the result of another step": {rule: checker.RuleResult, sql: `
		update tasker.workflow_steps set result = (select result from tasker.workflow_steps where ` + firstStep + `) where ` + lastStep},
	"a failure that no handler had": {rule: checker.RuleResult, log: func(ls []runlog.Line) []runlog.Line {
		return slices.DeleteFunc(ls, func(l runlog.Line) bool { return l.Kind == runlog.Failed })
	}},
	"a run that nobody claimed": {rule: checker.RuleRun, log: func(ls []runlog.Line) []runlog.Line {
		again := ls[0]
		again.Run = "other"
		return append(ls, again)
	}},
	"a run of a step that does not exist": {rule: checker.RuleRun, log: func(ls []runlog.Line) []runlog.Line {
		ls[0].Step = "nowhere"
		return ls
	}},
	"two steps with one key": {rule: checker.RuleRun, log: func(ls []runlog.Line) []runlog.Line {
		i := slices.IndexFunc(ls, func(l runlog.Line) bool { return l.Key != ls[0].Key })
		ls[i].Key = ls[0].Key
		return ls
	}},
	"a run that ends twice": {rule: checker.RuleLog, log: func(ls []runlog.Line) []runlog.Line {
		return append(ls, ls[len(ls)-1])
	}},
	"a dispatch number that went up by itself": {rule: checker.RuleDispatch,
		sql: `update tasker.workflow_steps set dispatch_no = dispatch_no + 1 where ` + lastStep},
	"a dispatch number that was used again": {rule: checker.RuleDispatch,
		sql: `update tasker.step_transitions set dispatch_no = 0 where ` + oneClaim},
	"a counter that is off": {rule: checker.RuleCounters,
		sql: `update tasker.tasks set open = 1 where task_id = ` + oneTask},
	"a step that waits for nobody": {rule: checker.RuleCounters,
		sql: `update tasker.workflow_steps set open_parents = 1 where ` + lastStep},
	"a delta too many": {rule: checker.RuleCounts,
		sql: `insert into tasker.count_deltas select template_id, 'step', 'complete', 1 from tasker.tasks limit 1`},
	"a state that is not counted": {rule: checker.RuleCounts,
		sql: `delete from tasker.counts; delete from tasker.count_deltas`},
	"a job that is left": {rule: checker.RuleLeftover, sql: `
		insert into tasker.river_job (args, kind, max_attempts, queue) values ('{}', 'tasker_step', 1, 'crash-crashz2ework')`},
	"a lease that is left": {rule: checker.RuleLeftover, sql: `
		alter table tasker.workflow_steps drop constraint workflow_steps_lease;
		update tasker.workflow_steps set lease_owner = 1 where ` + lastStep},
	"a timer that is left": {rule: checker.RuleLeftover, sql: `
		alter table tasker.workflow_steps drop constraint workflow_steps_wake;
		update tasker.workflow_steps set wake_at = now() where ` + lastStep},
	"a step that is gone":   {rule: checker.RuleLeftover, sql: `delete from tasker.workflow_steps where ` + lastStep},
	"a parent that is gone": {rule: checker.RuleLeftover, sql: `delete from tasker.workflow_steps where ` + firstStep},
	"a task that is gone":   {rule: checker.RuleLeftover, sql: `delete from tasker.tasks where task_id = ` + oneTask},
	"an identity that is gone": {rule: checker.RuleLeftover,
		sql: `delete from tasker.task_identities where task_id = ` + oneTask},
	"two tasks of one identity": {rule: checker.RuleLeftover, sql: `
		update tasker.tasks set context = (select context from tasker.tasks where task_id <> ` + oneTask + ` limit 1)
		where task_id = ` + oneTask},
}

func TestTheCheckerFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	conn, evidence := finished(t)
	check := func(t *testing.T, c corruption) *checker.Report {
		t.Helper()
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
		if c.sql != "" {
			tag, err := tx.Exec(t.Context(), c.sql)
			require.NoError(t, err)
			require.Positive(t, tag.RowsAffected(), "nothing was planted")
		}
		e := evidence
		e.Log = slices.Clone(evidence.Log)
		if c.log != nil {
			e.Log = c.log(e.Log)
		}
		if c.tell != nil {
			c.tell(&e)
		}
		report, err := checker.Check(t.Context(), tx, e)
		require.NoError(t, err)
		return report
	}

	clean := check(t, corruption{})
	require.Empty(t, clean.Violations)
	require.Equal(t, 24, clean.Steps)
	require.Positive(t, clean.Retries, "some step must have failed, or less can be planted")
	require.Equal(t, clean.Steps+clean.Retries, clean.Runs)

	for name, c := range corruptions {
		t.Run(name, func(t *testing.T) { // not parallel: they share the connection
			var found []string
			for _, v := range check(t, c).Violations {
				if v.Rule == c.rule {
					return
				}
				found = append(found, v.String())
			}
			require.Fail(t, "not found", "want a violation of %q, got %q", c.rule, found)
		})
	}
}
