package readiness

import (
	"slices"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// step explains one step.
func (x *explainer) step(s *StepFacts, e *StepExplanation) {
	e.Named, e.State = Named{s.No, s.Name}, s.State
	e.Attempt, e.MaxAttempts = s.Attempts, s.limit()
	e.Handler = s.Handler
	if s.State != step.InProgress {
		e.LastErrorType, e.LastError = s.LastErrorType, s.LastError
	}
	if s.State == step.Pending && s.OpenParents > 0 {
		e.WaitingFor = x.openParents(s)
	}
	if s.State == step.WaitingForRetry {
		e.RetryAt = s.WakeAt
	}
	if s.State == step.InProgress {
		e.Lease = s.Lease
	}
	if s.State == step.Error {
		e.Letter = x.f.Task.Letter
	}
	x.obstacles(s, e.WaitingFor)
	e.Code = x.codes[0]
	e.Also = x.shared(x.codes[1:])
	if slices.Contains(x.codes, Paused) {
		e.Pauses = x.f.Task.Pauses
	}
	switch x.f.Task.State {
	case task.Pending, task.Error:
		e.Instead = resolveTask
		x.beforeOrAfter(s, e)
	default:
		if e.Code != Finished {
			e.Instead = x.do(Action{Kind: ActResolveStep, Step: s.No})
		}
		x.underWay(s, e)
	}
}

// shared returns codes as a slice of their own. There are few combinations and
// many steps.
func (x *explainer) shared(codes []Code) []Code {
	if len(codes) == 0 {
		return nil
	}
	for _, known := range x.also {
		if slices.Equal(known, codes) {
			return known
		}
	}
	x.also = append(x.also, slices.Clone(codes))
	return x.also[len(x.also)-1]
}

// beforeOrAfter explains a step whose task has not started, or ended in error:
// nothing can be done to the step alone.
func (x *explainer) beforeOrAfter(s *StepFacts, e *StepExplanation) {
	t, w := &x.f.Task, x.w.begin()
	switch e.Code {
	case Scheduled:
		w.say("step ").quote(s.Name).say(" cannot start before its task, which ")
		e.Sentence, e.Unblock = x.scheduled(w)
		e.Actions = x.do(Action{Kind: ActWait, Until: t.StartAt})
	case Overdue:
		w.say("step ").quote(s.Name).say(" cannot start before its task, which ")
		e.Sentence = x.lateStart(w).String()
		e.Unblock = "the server makes up for it by itself; if it does not, resolve the task by hand"
		e.Actions = waitAnyhow
	case Failed:
		e.Sentence = x.failure(s).String()
		e.Unblock = "retry the whole task, or resolve it by hand"
		e.Actions = retryTask
	case Halted:
		e.Sentence = w.say("step ").quote(s.Name).say(" does not go on, for its task ended in error").String()
		e.Unblock = "retry the whole task, or resolve it by hand"
		e.Actions = retryTask
	default:
		x.underWay(s, e)
	}
}

// scheduled says when a task starts, and what to do until then.
func (x *explainer) scheduled(w *words) (sentence, unblock string) {
	at := x.f.Task.StartAt
	if !at.After(x.f.Now) {
		return w.say("is due to start since ").time(at).String(), "the server starts it within moments"
	}
	sentence = w.say("starts at ").when(at, x.f.Now).String()
	return sentence, w.begin().say("wait until ").time(at).String()
}

// lateStart says since when a task should have started.
func (x *explainer) lateStart(w *words) *words {
	if x.f.Task.StartAt.IsZero() {
		return w.say("has no time to start at and has not started")
	}
	return w.say("was to start at ").when(x.f.Task.StartAt, x.f.Now).say(" and has not")
}

// underWay explains a step of a task that has started.
func (x *explainer) underWay(s *StepFacts, e *StepExplanation) {
	now, w := x.f.Now, x.w.begin()
	switch e.Code {
	case Finished:
		e.Sentence = w.say("step ").quote(s.Name).say(" will not run, for its task is ", x.f.Task.State.String()).String()
		e.Unblock = "nothing: the task has ended"
	case Failed:
		e.Sentence = x.failure(s).String()
		e.Unblock = "reset the step for another run, or resolve it by hand"
		e.Actions = x.do(Action{Kind: ActResetStep, Step: s.No})
	case WaitingForParents:
		x.waits(s, e)
	case RetryAt, Overdue:
		x.retries(s, e)
	case Running:
		w.say("step ").quote(s.Name).say(" is running: attempt ").number(s.Attempts).say(" of ").number(s.limit()).
			say(", leased by ", s.Lease.Holder)
		if !s.Lease.Until.IsZero() {
			w.say(" until ").time(s.Lease.Until)
		}
		e.Sentence = w.String()
		e.Unblock = "wait for its result, or resolve the step by hand"
		e.Actions = waitAnyhow
	case LeaseLapsed:
		e.Sentence = x.lapse(s).String()
		e.Unblock = "the server takes the step back and enqueues it again by itself; if it does not, resolve the step by hand"
		e.Actions = waitAnyhow
	case Paused:
		e.Sentence = w.say("step ").quote(s.Name).say(" is held back: ", x.paused).String()
		e.Unblock = x.resume
		e.Actions = x.resumes
	case NoWorker:
		e.Sentence = w.say("step ").quote(s.Name).say(" waits for a worker, but none has declared handler ").quote(s.Handler).String()
		e.Unblock = w.begin().say("start a worker that declares handler ").quote(s.Handler).String()
		e.Actions = x.do(Action{Kind: ActStartWorker, Handler: s.Handler})
	case Queued:
		w.say("step ").quote(s.Name).say(" waits in the queue of handler ").quote(s.Handler).say(" for a free slot")
		if now.After(s.Since) && !s.Since.IsZero() {
			w.say(", for ", duration(now.Sub(s.Since)), " so far")
		}
		e.Sentence = w.String()
		e.Unblock = w.begin().say("wait for a free slot, or start another worker for handler ").quote(s.Handler).String()
		e.Actions = waitAnyhow
	default:
		e.Code = Stuck
		w.say("step ").quote(s.Name).say(" is ", s.State.String(), " and nothing will move it by itself: ")
		switch {
		case s.State == step.WaitingForRetry:
			w.say("it has no time to be tried again at")
		case s.OpenParents > 0:
			w.say("it counts ").count(s.OpenParents, " parent", " parents").say(" that it waits for, but all are done")
		case s.State == step.Pending:
			w.say("it waits for nothing and is in no queue")
		default:
			w.say("no step rests in that state")
		}
		e.Sentence = w.String()
		e.Unblock = "resolve it by hand, and have the database checked"
		e.Actions, e.Instead = e.Instead, nil
	}
}

// waits explains a step that waits for parents.
func (x *explainer) waits(s *StepFacts, e *StepExplanation) {
	w := x.w.begin()
	open := int32(len(e.WaitingFor)) //nolint:gosec // G115: at most MaxSteps
	all := int32(len(s.Parents))     //nolint:gosec // G115: at most MaxSteps
	w.say("step ").quote(s.Name).say(" waits for ").names(e.WaitingFor).say(" (").
		number(open).say(" of ").count(all, " parent", " parents")
	if open == 1 {
		w.say(" is not done)")
		e.Unblock = "that parent must be complete or resolved by hand"
	} else {
		w.say(" are not done)")
		e.Unblock = "those parents must all be complete or resolved by hand"
	}
	e.Sentence, e.Actions = w.String(), finishAll
	for i, p := range e.WaitingFor {
		if at := x.find(p.No); at < 0 || x.f.Steps[at].State.Settled() {
			// Settled and yet not satisfied: it will never be.
			e.Unblock = w.begin().names(e.WaitingFor[i : i+1]).say(" will never be done: resolve step ").quote(s.Name).say(" by hand").String()
			e.Actions, e.Instead = e.Instead, nil
			return
		}
	}
}

// retries explains a step that waits for its next attempt.
func (x *explainer) retries(s *StepFacts, e *StepExplanation) {
	now, w := x.f.Now, x.w.begin()
	w.say("attempt ").number(s.Attempts + 1).say(" of ").number(s.limit()).say(" of step ").quote(s.Name)
	e.Actions = x.do(Action{Kind: ActWait, Until: s.WakeAt})
	switch {
	case e.Code == Overdue:
		w.say(" was to start at ").when(s.WakeAt, now).say(" and has not")
		e.Actions = waitAnyhow
		e.Unblock = "the server makes up for it by itself; if it does not, resolve the step by hand"
	case s.rules().Due(now):
		w.say(" is due since ").time(s.WakeAt)
		e.Unblock = "the server enqueues it within moments"
	default:
		w.say(" starts at ").when(s.WakeAt, now)
	}
	e.Sentence = w.lastError(s.LastErrorType, s.LastError).String()
	if e.Unblock == "" {
		e.Unblock = w.begin().say("wait until ").time(s.WakeAt).say(", or resolve the step by hand").String()
	}
}

// lapse says how a lease was lost.
func (x *explainer) lapse(s *StepFacts) *words {
	w := x.w.begin().say("step ").quote(s.Name)
	switch l := s.Lease; {
	case l == nil:
		w.say(" is in progress, but nobody is known to run it")
	case l.Gone:
		w.say(" was run by ", l.Holder, ", which is gone")
	default:
		w.say(" was leased by ", l.Holder, " until ").when(l.Until, x.f.Now).say(", and the lease was not renewed")
	}
	if s.Losses > 0 {
		w.say("; it has lost ").count(s.Losses, " lease", " leases").say(" before")
	}
	return w
}

// failure says how a step failed for good.
func (x *explainer) failure(s *StepFacts) *words {
	w := x.w.begin().say("step ").quote(s.Name)
	switch limit := s.limit(); {
	case s.LastErrorType == step.TypeWorkerUnavailable || s.Attempts == 0:
		w.say(" failed")
	case s.rules().RetryEligible():
		w.say(" failed for good in attempt ").number(s.Attempts).say(" of ").number(limit)
	case s.Attempts == 1:
		w.say(" failed in its only attempt")
	default:
		w.say(" failed in all ").number(s.Attempts).say(" attempts")
	}
	w.lastError(s.LastErrorType, s.LastError)
	if l := x.f.Task.Letter; l != nil {
		w.say("; dead-lettered since ").time(l.Since)
	}
	return w
}
