package plan_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// TestDoingWhatAnExplanationSaysUnblocksTheStep stops random workflows at a
// random moment, picks an unfinished step, and does nothing but what its
// explanation says, through the planners: the step must get to its end.
func TestDoingWhatAnExplanationSaysUnblocksTheStep(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.IntRange(1, 25).Draw(rt, "steps")
		seed := rapid.Uint64().Draw(rt, "seed")
		turns := rapid.IntRange(0, 60).Draw(rt, "turns")
		dice := rand.New(rand.NewPCG(seed, 1))
		r := &run{
			world: newWorld(rt, flow(rt, dice, steps), plan.Rules{Jitter: 0.1, MaxLosses: 2}),
			dice:  dice, failing: 30, meddling: rapid.Bool().Draw(rt, "people meddle"),
		}
		r.ids = r.submit(1)
		for range turns {
			if !r.turn() {
				break
			}
		}
		id := r.ids[0]
		e := readiness.Explain(r.facts(id))
		if len(e.Steps) == 0 {
			require.Zero(rt, r.tasks[id].Open)
			return
		}
		pick := e.Steps[dice.IntN(len(e.Steps))].No
		r.unblock(id, pick)
		require.True(rt, r.steps[ident.StepRef{Task: id, No: pick}].State.Satisfies())
	})
}

// facts are what an explanation looks at, as the application would read them.
func (r *run) facts(id ident.TaskID) *readiness.Facts {
	t := r.tasks[id]
	f := &readiness.Facts{Now: r.now, Task: readiness.TaskFacts{State: t.State, Counters: t.Counters, Deadline: t.Deadline}}
	if t.LetterOpen {
		f.Task.Letter = &readiness.LetterFacts{EntryID: "x", Reason: "max_retries_exceeded", Since: r.now}
	}
	for no := int32(1); no <= t.Total; no++ {
		s := r.steps[ident.StepRef{Task: id, No: no}]
		d := r.def.Step(s.Def)
		facts := readiness.StepFacts{
			No: no, Name: d.Name, State: s.State, Parents: s.parents, OpenParents: s.OpenParents, Attempts: s.Attempts,
			MaxAttempts: s.max, Retryable: d.Retry.Retryable, Losses: s.Losses, WakeAt: s.wakeAt, Handler: d.Handler.Callable, Served: true,
		}
		if s.leased {
			facts.Lease = &readiness.LeaseFacts{Holder: "here"}
		}
		f.Steps = append(f.Steps, facts)
	}
	return f
}

// unblock does what the explanations of a step say until it is done.
func (r *run) unblock(id ident.TaskID, no int32) {
	for range 50 {
		ref := ident.StepRef{Task: id, No: no}
		if r.steps[ref].State.Settled() {
			return
		}
		var why *readiness.StepExplanation
		e := readiness.Explain(r.facts(id))
		for i := range e.Steps {
			if e.Steps[i].No == no {
				why = &e.Steps[i]
			}
		}
		require.NotNil(r.t, why, "step %d is %s and not explained", no, r.steps[ref].State)
		require.NotEqual(r.t, readiness.Stuck, why.Code, why.Sentence)
		require.NotEmpty(r.t, why.Actions, "%s: nothing is to be done", why.Sentence)
		for _, a := range why.Actions {
			r.do(id, no, why, a)
		}
	}
	require.Fail(r.t, "it does not come to an end", "step %d", no)
}

func (r *run) do(id ident.TaskID, no int32, why *readiness.StepExplanation, a readiness.Action) {
	ref := ident.StepRef{Task: id, No: no}
	order := func(o plan.Order, of int32) {
		w := plan.Wake{Ref: ident.StepRef{Task: id, No: of}, Cause: plan.Ordered, By: "ann", Order: &o}
		require.Equal(r.t, plan.Refusal{}, r.wakes(w)[0], "%s: %s", why.Sentence, why.Unblock)
	}
	switch a.Kind {
	case readiness.ActWait: // what time and workers do by themselves
		if a.Until.After(r.now) {
			r.now = a.Until
		}
		switch s := r.steps[ref]; s.State {
		case step.WaitingForRetry:
			require.Equal(r.t, plan.Refusal{}, r.wakes(plan.Wake{Ref: ref, Dispatch: s.Dispatch, Cause: plan.RetryDue})[0])
		case step.Enqueued:
			require.True(r.t, r.claim(r.job(ref)))
		case step.InProgress:
			r.results(step.Result{Ref: ref, Dispatch: s.Dispatch, Value: value("at last")})
		default:
			require.Fail(r.t, "waiting does not help", "%s", why.Sentence)
		}
	case readiness.ActFinishParents:
		for _, p := range why.WaitingFor {
			r.unblock(id, p.No)
		}
	case readiness.ActResetStep:
		order(plan.Order{Steps: []plan.StepOrder{{No: a.Step, Action: plan.ResetForRetry}}}, a.Step)
	case readiness.ActResolveStep:
		order(plan.Order{Steps: []plan.StepOrder{{No: a.Step, Action: plan.ResolveManually}}}, a.Step)
	case readiness.ActRetryTask:
		order(plan.Order{Failed: plan.ResetForRetry}, 0)
	case readiness.ActResolveTask:
		require.Equal(r.t, plan.Refusal{}, r.endings(plan.Ending{Task: id, End: plan.ResolveTask})[0])
		require.Equal(r.t, task.ResolvedManually, r.tasks[id].State)
	default:
		require.Fail(r.t, "nothing here is paused or unserved", "%s: %s", why.Sentence, a.Kind)
	}
}
