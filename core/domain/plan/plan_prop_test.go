package plan_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
)

// TestRandomWorkflowsEnd runs random workflows in random order: results good
// and bad, twice and late, leases that are lost, waits that end, cancels. The
// world holds every decision to the laws; here they have to come to an end.
func TestRandomWorkflowsEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.OneOf(rapid.IntRange(1, 12), rapid.IntRange(1, 12), rapid.IntRange(1, 200)).Draw(rt, "steps")
		tasks := rapid.IntRange(1, 3).Draw(rt, "tasks")
		seed := rapid.Uint64().Draw(rt, "seed")
		failing := rapid.SampledFrom([]int{0, 10, 40}).Draw(rt, "failures in a hundred")
		meddling := rapid.Bool().Draw(rt, "people meddle")

		dice := rand.New(rand.NewPCG(seed, 1))
		r := &run{
			world: newWorld(rt, flow(rt, dice, steps), plan.Rules{Jitter: 0.1, MaxLosses: 2}),
			dice:  dice, failing: failing, meddling: meddling,
		}
		r.ids = r.submit(tasks)
		for turns := 0; r.turn(); turns++ {
			// An attempt, a loss, a wait and an idle turn for each, with room to spare.
			require.Less(rt, turns, 100*steps*tasks+100, "it does not end")
			r.meddling = r.meddling && turns < 50*steps*tasks
		}
		r.ended()
	})
}

type run struct {
	*world
	dice     *rand.Rand
	failing  int
	meddling bool
	ids      []ident.TaskID
	told     []step.Result // for repeats
}

// turn does something, and reports whether anything is left to do.
func (r *run) turn() bool {
	jobs := r.waiting()
	running := r.running()
	due, next := r.due()
	switch x := r.dice.IntN(100); {
	case x < 35 && len(jobs) > 0:
		for _, j := range jobs[:1+r.dice.IntN(len(jobs))] {
			r.claim(j)
		}
	case x < 75 && len(running) > 0:
		r.tell(running)
	case x < 80 && len(running) > 0:
		r.lose(running)
	case x < 90 && len(due) > 0:
		r.batched(due[:1+r.dice.IntN(len(due))], nil)
	case x < 91 && r.meddling:
		r.meddle()
	case len(jobs)+len(running)+len(due) > 0:
	case next.IsZero():
		return false
	default:
		r.now = next
	}
	r.now = r.now.Add(time.Millisecond)
	return true
}

// waiting returns the jobs, live and stale, in random order.
func (r *run) waiting() []plan.Job {
	jobs := make([]plan.Job, 0, len(r.jobs))
	for j := range r.jobs {
		jobs = append(jobs, j)
	}
	slices.SortFunc(jobs, func(a, b plan.Job) int {
		if c := plan.CompareRefs(a.Ref, b.Ref); c != 0 {
			return c
		}
		return int(a.Dispatch - b.Dispatch)
	})
	r.dice.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	return jobs
}

func (r *run) inState(want step.State) []stored {
	var all []stored
	for _, s := range r.steps {
		if s.State == want {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b stored) int { return plan.CompareRefs(a.Ref, b.Ref) })
	r.dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (r *run) running() []stored { return r.inState(step.InProgress) }

func (r *run) due() (due []plan.Wake, next time.Time) {
	for _, s := range r.inState(step.WaitingForRetry) {
		if !s.wakeAt.After(r.now) {
			due = append(due, plan.Wake{Ref: s.Ref, Dispatch: s.Dispatch, Cause: plan.RetryDue})
		} else if next.IsZero() || s.wakeAt.Before(next) {
			next = s.wakeAt
		}
	}
	return due, next
}

// meddle is what people do: end, retry, reset, resolve, complete, file and
// resume, at any moment and often in vain.
func (r *run) meddle() {
	id := r.ids[r.dice.IntN(len(r.ids))]
	before := r.clone()
	whole := plan.Wake{Ref: ident.StepRef{Task: id}, By: "ann", Why: "because"}
	var refusals []plan.Refusal
	switch r.dice.IntN(8) {
	case 0:
		refusals = r.endings(plan.Ending{Task: id, End: plan.CancelTask}, plan.Ending{Task: id, End: plan.GiveUpTask})
		require.True(r.t, refusals[1].Refused(), "what has ended, or is not blocked, is not given up")
		refusals = refusals[:1]
	case 1:
		refusals = r.endings(plan.Ending{Task: id, End: []plan.End{plan.GiveUpTask, plan.ResolveTask, plan.StoodStill}[r.dice.IntN(3)]})
	case 2:
		whole.Cause = []plan.Cause{plan.Filed, plan.Stale}[r.dice.IntN(2)]
		refusals = r.wakes(whole)
	case 3:
		whole.Cause, whole.Order = plan.Ordered, &plan.Order{Failed: plan.ResetForRetry}
		refusals = r.wakes(whole)
	case 4:
		whole.Cause = plan.Ordered
		whole.Order = &plan.Order{Failed: plan.ResolveManually, Letter: r.tasks[id].Letters}
		refusals = r.wakes(whole)
		again := r.clone()
		require.True(r.t, whole.Order.Letter == 0 || r.wakes(whole)[0].Refused(), "a dead letter is resumed once")
		require.True(r.t, whole.Order.Letter == 0 || len(r.steps) == len(again.steps))
	default:
		no := int32(1 + r.dice.IntN(len(r.def.Steps)))
		action := []plan.Action{plan.ResetForRetry, plan.ResolveManually, plan.CompleteManually}[r.dice.IntN(3)]
		whole.Ref.No, whole.Cause = no, plan.Ordered
		whole.Order = &plan.Order{Steps: []plan.StepOrder{{No: no, Action: action, Value: value("by hand")}}}
		refusals = r.wakes(whole)
		if !refusals[0].Refused() && action == plan.ResetForRetry {
			s := r.steps[whole.Ref]
			require.Equal(r.t, step.Enqueued, s.State)
			require.Zero(r.t, s.Attempts, "its attempts are counted anew")
		}
	}
	if refusals[0].Refused() {
		require.Equal(r.t, before.tasks, r.tasks, "a refusal changes nothing")
		require.Equal(r.t, before.steps, r.steps, "a refusal changes nothing")
		require.NotZero(r.t, refusals[0].State)
	}
}

func (r *run) lose(running []stored) {
	ref, live := running[0].Ref, running[0].Dispatch
	unchanged := r.clone()
	r.batched([]plan.Wake{
		{Ref: ref, Dispatch: live, Cause: plan.RetryDue},
		{Ref: ref, Dispatch: live - 1, Cause: plan.LeaseLost},
		{Ref: ref, Dispatch: live + 1, Cause: plan.LeaseLost},
		{Ref: ident.StepRef{Task: ref.Task, No: ident.MaxSteps}, Dispatch: 1, Cause: plan.LeaseLost},
	}, nil)
	require.Equal(r.t, unchanged.steps, r.steps, "what is not so changes nothing")

	lost := plan.Wake{Ref: ref, Dispatch: live, Cause: plan.LeaseLost}
	wakes := []plan.Wake{lost, lost}
	before := r.tasks[running[0].Ref.Task]
	r.batched(wakes, nil)
	after := r.steps[running[0].Ref]
	if running[0].Losses+1 < r.rules.MaxLosses {
		require.Equal(r.t, step.Enqueued, after.State)
		require.Equal(r.t, running[0].Attempts-1, after.Attempts, "a lost lease takes no attempt")
		require.Equal(r.t, before, r.tasks[before.ID])
	} else {
		require.Equal(r.t, step.Error, after.State)
	}
}

// tell reports on some steps that run, on some again, and on some that were
// never asked for.
func (r *run) tell(running []stored) {
	var results []step.Result
	for _, s := range running[:1+r.dice.IntN(len(running))] {
		res := step.Result{Ref: s.Ref, Dispatch: s.Dispatch, Value: value(s.Ref.String()), Chance: r.dice.Float64(), Elapsed: time.Second}
		if r.dice.IntN(100) < r.failing {
			res.Value, res.Failure = nil, &step.Failure{Message: "no", Type: "t", Retryable: r.dice.IntN(10) > 0}
			if r.dice.IntN(4) == 0 {
				res.Failure.RetryAfter = time.Duration(r.dice.IntN(5000)) * time.Millisecond
			}
		}
		results = append(results, res)
	}
	fresh := len(results)
	for range r.dice.IntN(3) {
		late := results[r.dice.IntN(len(results))]
		switch r.dice.IntN(4) {
		case 0:
			if len(r.told) > 0 {
				late = r.told[r.dice.IntN(len(r.told))]
			}
		case 1:
			late.Dispatch--
		case 2:
			late.Dispatch++
		default: // the same again
		}
		results = append(results, late)
	}
	verdicts := r.batched(nil, results)
	for i, v := range verdicts {
		if r.def.OnFailure == template.FailTaskFast && i < fresh {
			continue // an earlier one of the batch may have ended the task
		}
		require.Equal(r.t, i < fresh, v == step.Applied, "result %d is %s", i, v)
	}
	r.told = append(r.told, results[:fresh]...)
}

// batched applies messages all at once here, and one by one in a copy of the
// world: both have to come out the same.
func (r *run) batched(wakes []plan.Wake, results []step.Result) []step.Verdict {
	single := r.clone()
	var verdicts, one []step.Verdict
	if wakes != nil {
		for _, w := range wakes {
			single.wakes(w)
		}
		r.wakes(wakes...)
	}
	if results != nil {
		for _, res := range results {
			one = append(one, single.results(res)...)
		}
		verdicts = r.results(results...)
	}
	if r.def.OnFailure == template.FailTaskFast {
		return verdicts // what would have been enqueued and halted is not enqueued at all
	}
	require.Equal(r.t, one, verdicts)
	require.Equal(r.t, single.tasks, r.tasks)
	require.Equal(r.t, single.steps, r.steps)
	require.Equal(r.t, single.jobs, r.jobs)
	return verdicts
}

// ended looks at what is left when nothing moves any more.
func (r *run) ended() {
	for _, id := range r.ids {
		t := r.tasks[id]
		require.Contains(r.t, []task.State{
			task.Complete, task.BlockedByFailures, task.Cancelled, task.Error, task.ResolvedManually,
		}, t.State)
		require.True(r.t, r.failing > 0 || t.State != task.BlockedByFailures || r.anyLost(id), "it is blocked and nothing had failed")
	}
	for ref, s := range r.steps {
		t := r.tasks[ref.Task]
		switch t.State {
		case task.Complete:
			require.True(r.t, s.State.Satisfies())
		case task.Error:
		case task.Cancelled, task.ResolvedManually:
			require.True(r.t, s.State.Settled())
		default:
			require.Contains(r.t, []step.State{step.Complete, step.ResolvedManually, step.Error, step.Pending}, s.State)
			if s.State == step.Pending {
				require.True(r.t, r.behindFailure(ref), "step %s could have run: nothing before it had failed", ref)
			}
		}
	}
	require.Empty(r.t, r.liveJobs())
}

func (r *run) anyLost(id ident.TaskID) bool {
	for ref, s := range r.steps {
		if ref.Task == id && s.Losses >= r.rules.MaxLosses {
			return true
		}
	}
	return false
}

func (r *run) behindFailure(ref ident.StepRef) bool {
	for _, no := range r.def.Graph().Ancestors(ref.No) {
		if r.steps[ident.StepRef{Task: ref.Task, No: no}].State == step.Error {
			return true
		}
	}
	return false
}

func (r *run) liveJobs() []plan.Job {
	var live []plan.Job
	for j := range r.jobs {
		if s := r.steps[j.Ref]; s.State == step.Enqueued && s.Dispatch == j.Dispatch {
			live = append(live, j)
		}
	}
	return live
}
