package plan_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
)

// small makes a workflow whose steps are tried twice, a second apart.
func small(t *testing.T, steps ...template.Step) *template.Template {
	t.Helper()
	d := template.Template{Namespace: "ns", Name: "small", Version: "1.0.0"}
	for _, s := range steps {
		s.Handler.Callable = s.Name
		s.Retry = template.Retry{Retryable: true, MaxAttempts: 2, Backoff: template.BackoffFixed, BackoffBaseMS: 1000, MaxBackoffMS: 60_000}
		d.Steps = append(d.Steps, s)
	}
	made, err := template.New(d)
	require.NoError(t, err)
	return made
}

func after(name string, parents ...string) template.Step {
	return template.Step{Name: name, Dependencies: parents}
}

func startSmall(t *testing.T, steps ...template.Step) (*world, ident.TaskID) {
	t.Helper()
	w := newWorld(t, small(t, steps...), plan.Rules{MaxLosses: 2})
	return w, w.submit(1)[0]
}

func (w *world) job(ref ident.StepRef) plan.Job {
	for j := range w.jobs {
		if j.Ref == ref && j.Dispatch == w.steps[ref].Dispatch {
			return j
		}
	}
	require.Fail(w.t, "no job", "step %s is %s", ref, w.steps[ref].State)
	return plan.Job{}
}

// begin claims a step and returns a good result for it.
func (w *world) begin(id ident.TaskID, no int32) step.Result {
	ref := ident.StepRef{Task: id, No: no}
	require.True(w.t, w.claim(w.job(ref)))
	return step.Result{Ref: ref, Dispatch: w.steps[ref].Dispatch, Value: value("ok")}
}

func bad(r step.Result, retryable bool, wait time.Duration) step.Result {
	r.Value, r.Failure = nil, &step.Failure{Message: "no", Retryable: retryable, RetryAfter: wait}
	return r
}

func (w *world) states(id ident.TaskID) []step.State {
	all := make([]step.State, w.tasks[id].Total)
	for i := range all {
		all[i] = w.steps[ident.StepRef{Task: id, No: int32(i + 1)}].State
	}
	return all
}

func TestDiamond(t *testing.T) {
	t.Parallel()
	w, id := startSmall(t, after("a"), after("b", "a"), after("c", "a"), after("d", "b", "c"))
	require.Equal(t, []step.State{step.Enqueued, step.Pending, step.Pending, step.Pending}, w.states(id))
	require.Equal(t, []step.Verdict{step.Applied}, w.results(w.begin(id, 1)))
	require.Equal(t, []step.State{step.Complete, step.Enqueued, step.Enqueued, step.Pending}, w.states(id))
	b, c := w.begin(id, 2), w.begin(id, 3)
	require.Equal(t, []step.Verdict{step.Applied, step.Applied}, w.results(b, c))
	require.Equal(t, []step.Verdict{step.Applied}, w.results(w.begin(id, 4)))
	require.Equal(t, task.Complete, w.tasks[id].State)
	require.Equal(t, `"ok"`, w.steps[ident.StepRef{Task: id, No: 4}].value)
}

func TestAFailureWaitsAsLongAsItsPolicyOrItsWishSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ wish, wait time.Duration }{
		"policy":               {0, time.Second},
		"wish":                 {5 * time.Second, 5 * time.Second},
		"a wish over the most": {time.Hour, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id := startSmall(t, after("a"))
			ref := ident.StepRef{Task: id, No: 1}
			w.results(bad(w.begin(id, 1), true, c.wish))
			require.Equal(t, step.WaitingForRetry, w.steps[ref].State)
			require.Equal(t, w.now.Add(c.wait), w.steps[ref].wakeAt)
			require.Equal(t, task.WaitingForRetry, w.tasks[id].State)
			w.wakes(plan.Wake{Ref: ref, Dispatch: 1, Cause: plan.RetryDue})
			require.Equal(t, task.StepsInProcess, w.tasks[id].State)
			w.results(bad(w.begin(id, 1), true, c.wish))
			require.Equal(t, step.Error, w.steps[ref].State, "two attempts are all that it has")
			require.Equal(t, task.BlockedByFailures, w.tasks[id].State)
		})
	}
}

func TestAPermanentFailureBlocksOnlyWhatIsBehindIt(t *testing.T) {
	t.Parallel()
	w, id := startSmall(t, after("a"), after("b"), after("after a", "a"), after("after b", "b"))
	w.results(bad(w.begin(id, 1), false, 0))
	require.Equal(t, task.StepsInProcess, w.tasks[id].State, "the other branch runs")
	w.results(w.begin(id, 2))
	w.results(w.begin(id, 4))
	require.Equal(t, []step.State{step.Error, step.Complete, step.Pending, step.Complete}, w.states(id))
	require.Equal(t, task.BlockedByFailures, w.tasks[id].State)
}

func TestVerdictsOnLateResults(t *testing.T) {
	t.Parallel()
	w, id := startSmall(t, after("a"), after("b"), after("c"))
	a, b, c := w.begin(id, 1), w.begin(id, 2), w.begin(id, 3)
	w.results(a, bad(b, true, 0), bad(c, false, 0))
	steps := w.states(id)
	older := a
	older.Dispatch = 0
	unknown := a
	unknown.Ref.No = 9
	require.Equal(t, []step.Verdict{
		step.Duplicate, step.Duplicate, step.Duplicate, step.Stale, step.Stale, step.Stale, step.Stale, step.Stale,
	}, w.results(a, bad(b, true, 0), bad(c, false, 0), bad(a, true, 0), b, c, older, unknown))
	require.Equal(t, steps, w.states(id))

	require.Equal(t, []plan.Refusal{{}}, w.endings(plan.Ending{Task: id, End: plan.CancelTask}))
	require.Equal(t, []step.Verdict{step.Stale}, w.results(bad(b, true, 0)), "a cancelled step takes nothing")
}

func TestLostLeasesHaveTheirOwnLimit(t *testing.T) {
	t.Parallel()
	w, id := startSmall(t, after("a"))
	ref := ident.StepRef{Task: id, No: 1}
	first := w.begin(id, 1)
	w.wakes(plan.Wake{Ref: ref, Dispatch: 1, Cause: plan.LeaseLost})
	require.Equal(t, step.Enqueued, w.steps[ref].State)
	require.Equal(t, int32(0), w.steps[ref].Attempts)
	require.Equal(t, []step.Verdict{step.Stale}, w.results(first))
	w.begin(id, 1)
	require.Equal(t, int32(1), w.steps[ref].Attempts)

	snap := w.see(ref)
	d, _, err := plan.AfterWakes(snap, w.definition, w.rules, []plan.Wake{{Ref: ref, Dispatch: 2, Cause: plan.LeaseLost}})
	require.NoError(t, err)
	require.Len(t, d.Steps, 1)
	require.Equal(t, step.TypeWorkerUnavailable, d.Steps[0].Failure.Type)
	require.False(t, d.Steps[0].Failure.Retryable)
	w.apply(d)
	require.Equal(t, step.Error, w.steps[ref].State)
	require.Equal(t, task.BlockedByFailures, w.tasks[id].State)
}

// TestAWakeForAnotherStateChangesNothing: whoever asked was late.
func TestAWakeForAnotherStateChangesNothing(t *testing.T) {
	t.Parallel()
	w, id := startSmall(t, after("queued"), after("running"), after("waiting"), after("done"), after("failed"), after("pending", "running"))
	w.begin(id, 2)
	w.results(bad(w.begin(id, 3), true, 0), w.begin(id, 4), bad(w.begin(id, 5), false, 0))
	steps := w.states(id)
	for no := int32(1); no <= 6; no++ {
		ref := ident.StepRef{Task: id, No: no}
		for _, cause := range []plan.Cause{plan.RetryDue, plan.LeaseLost} {
			if cause == plan.RetryDue && no == 3 || cause == plan.LeaseLost && no == 2 {
				continue
			}
			refusals := w.wakes(plan.Wake{Ref: ref, Dispatch: w.steps[ref].Dispatch, Cause: cause})
			require.Equal(t, plan.NotDue, refusals[0].Code)
			require.Equal(t, steps, w.states(id), "step %d, cause %d", no, cause)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w, id := startSmall(t, after("done"), after("running"), after("waiting"), after("behind", "running"), after("failed"), after("queued"))
	w.results(w.begin(id, 1))
	w.begin(id, 2)
	w.results(bad(w.begin(id, 3), true, 0), bad(w.begin(id, 5), false, 0))
	d, refusals, err := plan.AfterEndings(w.seeWhole(map[ident.TaskID]bool{id: true}), w.definition, w.rules, []plan.Ending{
		{Task: id, End: plan.CancelTask, By: "ann", Why: "no need"},
		{Task: w.id(), End: plan.CancelTask},
		{Task: id, End: plan.CancelTask, By: "bob"},
	})
	require.NoError(t, err)
	require.Equal(t, []plan.Refusal{{}, {Code: plan.Unknown}, {Code: plan.Finished, State: task.Cancelled}}, refusals)
	require.Len(t, d.Tasks, 1)
	require.Equal(t, "ann", d.Tasks[0].By)
	require.Equal(t, "no need", d.Tasks[0].Why)
	w.apply(d)
	require.Equal(t, []step.State{
		step.Complete, step.Cancelled, step.Cancelled, step.Cancelled, step.Cancelled, step.Cancelled,
	}, w.states(id))
	require.Equal(t, plan.Finished, w.endings(plan.Ending{Task: id, End: plan.CancelTask})[0].Code)
}

func TestSubmissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small(t, after("a"), after("b", "a")), plan.Rules{})
	sub := func(identity byte) plan.Submission {
		return plan.Submission{ID: w.id(), Template: templateID, Definition: w.def, Identity: plan.Identity{identity}}
	}
	holder := w.id()
	subs := []plan.Submission{sub(1), sub(2), sub(2), sub(0), sub(0), sub(3), sub(4), sub(4)}
	snap := &plan.Snapshot{
		Taken:  map[plan.Identity]ident.TaskID{{1}: holder},
		Stored: map[ident.TaskID]bool{subs[5].ID: true, subs[6].ID: true},
	}
	var blueprints plan.Blueprints
	d, became, err := plan.AfterSubmissions(snap, subs, &blueprints)
	require.NoError(t, err)
	require.Equal(t, []plan.Submitted{
		{Existing: holder}, // another task has the identity
		{Created: true},
		{Existing: subs[1].ID}, // the same request in one batch
		{Created: true},        // like no other
		{Created: true},
		{}, // stored by a commit of unknown outcome
		{},
		{Existing: subs[6].ID}, // refused for the sake of one that was stored
	}, became)
	require.Len(t, d.Created, 3)
	require.Len(t, d.Jobs, 3)
	require.Equal(t, plan.Queue{Namespace: "ns", Handler: "a"}, d.Jobs[0].Queue)
	w.apply(d)
}

func TestPlannersSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	w, id := startSmall(t, after("a"), after("b", "a"))
	r := w.begin(id, 1)
	snap := w.see(r.Ref)
	delete(snap.Steps, ident.StepRef{Task: id, No: 2})
	_, _, err := plan.AfterResults(snap, w.definition, w.rules, []step.Result{r})
	require.ErrorContains(t, err, "its child 2 is missing")
	snap = w.see(r.Ref)
	snap.Tasks = nil
	_, _, err = plan.AfterResults(snap, w.definition, w.rules, []step.Result{r})
	require.ErrorContains(t, err, "its task is missing")
	_, refusals, err := plan.AfterWakes(snap, w.definition, w.rules, []plan.Wake{{Ref: r.Ref, Dispatch: 1, Cause: plan.LeaseLost}})
	require.NoError(t, err)
	require.Equal(t, plan.Unknown, refusals[0].Code)
}

func TestNothingIsToHappen(t *testing.T) {
	t.Parallel()
	require.True(t, plan.Decision{}.Empty())
	w, id := startSmall(t, after("a"))
	r := w.begin(id, 1)
	r.Dispatch = 9
	d, _, err := plan.AfterResults(w.see(r.Ref), w.definition, w.rules, []step.Result{r})
	require.NoError(t, err)
	require.True(t, d.Empty(), "a stale result writes nothing")
	d, _, err = plan.AfterEndings(&plan.Snapshot{}, w.definition, w.rules, []plan.Ending{{Task: w.id()}})
	require.NoError(t, err)
	require.True(t, d.Empty())
}
