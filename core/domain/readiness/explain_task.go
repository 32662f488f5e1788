package readiness

import (
	"slices"
	"time"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// task explains the task, of whose steps everything is said already.
func (x *explainer) task(steps []StepExplanation) Reason {
	var r Reason
	t, seen := &x.f.Task, codesOf(steps)
	switch {
	case t.State == task.Error:
		r = x.endedInError(steps)
	case t.State.Terminal():
		r = Reason{Code: Finished, Unblock: "nothing: the task has ended"}
		r.Sentence = x.w.begin().say("the task is ", t.State.String()).String()
	case t.State == task.Pending:
		r = x.notStarted()
	default:
		r = x.started(steps, seen)
	}
	for _, d := range codeDocs {
		if seen[d.Code] && d.Code != r.Code {
			r.Also = append(r.Also, d.Code)
		}
	}
	x.remarks(&r)
	return r
}

// codesOf returns all codes of steps, further ones included.
func codesOf(steps []StepExplanation) map[Code]bool {
	seen := map[Code]bool{}
	var last Reason
	for i := range steps {
		if steps[i].Code == last.Code && slices.Equal(steps[i].Also, last.Also) {
			continue // as most are
		}
		last = steps[i].Reason
		seen[last.Code] = true
		for _, c := range last.Also {
			seen[c] = true
		}
	}
	return seen
}

func (x *explainer) endedInError(steps []StepExplanation) Reason {
	w := x.w.begin().say("the task ended in error")
	if failed := having(steps, Failed); len(failed) > 0 {
		w.say(" with ").count(int32(len(failed)), " failed step: ", " failed steps: ").names(failed) //nolint:gosec // G115: at most MaxSteps
	}
	return Reason{
		Code: Halted, Sentence: w.String(), Unblock: "retry the whole task, or resolve it by hand",
		Actions: retryTask, Instead: resolveTask,
	}
}

func (x *explainer) notStarted() Reason {
	r := Reason{Code: x.start(), Instead: resolveTask}
	w := x.w.begin().say("the task ")
	if r.Code == Overdue {
		r.Sentence = x.lateStart(w).String()
		r.Unblock = "the server makes up for it by itself; if it does not, resolve the task by hand"
		r.Actions = waitAnyhow
		return r
	}
	r.Sentence, r.Unblock = x.scheduled(w)
	r.Actions = x.do(Action{Kind: ActWait, Until: x.f.Task.StartAt})
	return r
}

// started explains a task by the step that moves soonest among those that its
// counters say it rests for.
func (x *explainer) started(steps []StepExplanation, seen map[Code]bool) Reason {
	var candidates []Code
	rest := x.f.Task.Rest()
	switch rest {
	case task.StepsInProcess:
		candidates = []Code{Running, Queued, LeaseLapsed, NoWorker, Paused}
	case task.WaitingForRetry:
		candidates = []Code{RetryAt, Overdue}
	case task.BlockedByFailures:
		candidates = []Code{Failed}
	default:
	}
	for _, c := range candidates {
		if !seen[c] {
			continue
		}
		if found := having(steps, c); len(found) > 0 {
			return x.because(c, found, steps)
		}
	}
	w := x.w.begin().say("the task is ", x.f.Task.State.String(), " and nothing will move it by itself: ")
	switch {
	case len(steps) == 0:
		w.say("all its steps are done and it has not ended")
	case rest == task.WaitingForDependencies:
		w.say("no step of it is under way, waits for its time or has failed")
	default:
		w.say("its counters say ", rest.String(), ", and its steps say otherwise")
	}
	return Reason{
		Code: Stuck, Sentence: w.String(), Unblock: "resolve the steps or the task by hand, and have the database checked",
		Actions: resolveTask,
	}
}

// because explains a task by those of its steps that have the code.
func (x *explainer) because(c Code, found []Named, steps []StepExplanation) Reason {
	r := Reason{Code: c}
	n := int32(len(found)) //nolint:gosec // G115: at most MaxSteps
	w := x.w.begin().say("the task ")
	switch c {
	case Running:
		w.say("is under way: ").count(n, " step runs: ", " steps run: ").names(found)
		r.Unblock = "wait for the results"
	case Queued:
		w.say("is under way: ").count(n, " step waits for a free slot: ", " steps wait for a free slot: ").names(found)
		r.Unblock = "wait for a free slot, or start another worker"
	case LeaseLapsed:
		w.say("has lost the worker of ").names(found)
		r.Unblock = "the server takes the work back and enqueues it again by itself"
	case NoWorker:
		w.say("waits for workers, but none has declared the handler of ").names(found)
		return x.noWorker(r, w, steps)
	case Paused:
		r.Sentence, r.Unblock, r.Actions = w.say("is held back: ", x.paused).String(), x.resume, x.resumes
		return r
	case Failed:
		w.say("is blocked, for ").count(n, " step failed: ", " steps failed: ").names(found)
		r.Unblock = "retry the task, reset or resolve its failed steps, or resolve the task by hand"
		r.Sentence = w.String()
		r.Actions, r.Instead = retryTask, resolveTask
		return r
	default:
		first := earliest(steps, c)
		w.say("waits for the next attempt of ").names([]Named{first.Named}).say(", which ")
		if c == RetryAt {
			w.say("starts at ").when(first.RetryAt, x.f.Now)
			r.Sentence = w.String()
			r.Unblock = w.begin().say("wait until ").time(first.RetryAt).String()
			r.Actions = x.do(Action{Kind: ActWait, Until: first.RetryAt})
			return r
		}
		w.say("was to start at ").when(first.RetryAt, x.f.Now).say(" and has not")
		r.Unblock = "the server makes up for it by itself; if it does not, resolve the step by hand"
	}
	r.Sentence = w.String()
	r.Actions = waitAnyhow
	return r
}

// noWorker asks for a worker for each handler that has none and holds a step up.
func (x *explainer) noWorker(r Reason, w *words, steps []StepExplanation) Reason {
	r.Sentence = w.String()
	w.begin().say("start workers that declare ")
	seen := map[string]bool{}
	first := len(x.actions)
	for i := range steps {
		h := steps[i].Handler
		if steps[i].Code != NoWorker || seen[h] {
			continue
		}
		seen[h] = true
		if len(seen) > 1 {
			w.say(", ")
		}
		w.say("handler ").quote(h)
		x.actions = append(x.actions, Action{Kind: ActStartWorker, Handler: h})
	}
	r.Actions, r.Unblock = cut(x.actions, first), w.String()
	return r
}

// remarks adds what is true of the task besides.
func (x *explainer) remarks(r *Reason) {
	t, now := &x.f.Task, x.f.Now
	w := x.w.begin().say(r.Sentence)
	if !t.State.Terminal() && !t.EnteredAt.IsZero() {
		running := slices.ContainsFunc(x.f.Steps, func(s StepFacts) bool {
			return s.State == step.InProgress && !s.Lease.lapsed(now)
		})
		if in := now.Sub(t.EnteredAt); deadletter.Judge(in, t.StaleAfter, running) == deadletter.Stale {
			r.Also = append(r.Also, Stale)
			w.say("; it has been ", t.State.String(), " for ", duration(in), ", and counts as stale after ", duration(t.StaleAfter))
		}
	}
	if !t.State.Terminal() && !t.Deadline.IsZero() {
		if t.Deadline.After(now) {
			w.say("; its deadline is ").when(t.Deadline, now)
		} else {
			r.Also = append(r.Also, DeadlinePassed)
			w.say("; its deadline was ").when(t.Deadline, now)
		}
	}
	if t.Letter != nil {
		r.Also = append(r.Also, DeadLettered)
		w.say("; dead-lettered since ").time(t.Letter.Since).say(" (", t.Letter.Reason, ")")
	}
	r.Sentence = w.String()
}

// having returns the steps with a code.
func having(steps []StepExplanation, c Code) []Named {
	var found []Named
	for i := range steps {
		if steps[i].Code == c {
			found = append(found, steps[i].Named)
		}
	}
	return found
}

// earliest returns the step with a code that is tried again first.
func earliest(steps []StepExplanation, c Code) *StepExplanation {
	var first *StepExplanation
	at := time.Time{}
	for i := range steps {
		if s := &steps[i]; s.Code == c && (first == nil || s.RetryAt.Before(at)) {
			first, at = s, s.RetryAt
		}
	}
	return first
}
