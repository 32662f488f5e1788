package audit

import (
	"time"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// step checks a step by itself, its history, and what it waits for.
func (e *examination) step(s *Step) {
	wrong := func(rule Rule, detail string, args ...any) { e.wrongStep(s, rule, detail, args...) }
	moves := e.moves(s.No)
	of := func(m *StepMove) *Move[step.State] { return &m.Move }
	inOrder(moves, step.Pending, of)
	follow(stepLaw, moves, of, s.State, wrong)
	if s.State.Passing() {
		wrong(RulePassing, "it is %s, which is only passed through", s.State)
	}
	if s.Result && lastInto(moves, step.Complete).IsZero() {
		wrong(RuleResult, "it has a result, and its history has no row into complete")
	}
	e.numbers(s, moves, wrong)
	e.parents(s, moves, wrong)
	e.future(s, wrong)
}

// numbers checks the dispatch, which fences, and the attempts, which have a
// limit. Each is reported once.
func (e *examination) numbers(s *Step, moves []StepMove, wrong func(Rule, string, ...any)) {
	var dispatch, attempts int32
	dispatched, attempted := true, true
	for i := range moves {
		m := &moves[i]
		if want := dispatch + m.passes(step.Enqueued); m.Dispatch != want && dispatched {
			wrong(RuleDispatch, "row %d of its history, into %s, has dispatch %d, want %d", i+1, m.To, m.Dispatch, want)
			dispatched = false
		}
		claims := m.passes(step.InProgress)
		switch {
		case !attempted:
		case m.Attempt > s.MaxAttempts:
			wrong(RuleAttempts, "row %d of its history has attempt %d of %d", i+1, m.Attempt, s.MaxAttempts)
			attempted = false
		case m.Attempt < 0, claims > 0 && m.Attempt != attempts+claims, claims == 0 && m.Attempt > attempts:
			wrong(RuleAttempts, "row %d of its history, into %s, has attempt %d after %d", i+1, m.To, m.Attempt, attempts)
			attempted = false
		}
		dispatch, attempts = m.Dispatch, m.Attempt
	}
	if dispatch != s.Dispatch && dispatched {
		wrong(RuleDispatch, "its dispatch is %d, and its history ends with %d", s.Dispatch, dispatch)
	}
	switch {
	case !attempted:
	case s.Attempts > s.MaxAttempts:
		wrong(RuleAttempts, "it has %d of %d attempts", s.Attempts, s.MaxAttempts)
	case s.Attempts != attempts:
		wrong(RuleAttempts, "it has %d attempts, and its history ends with %d", s.Attempts, attempts)
	}
}

// parents checks that the step began after its parents, and that it knows how
// many of them it waits for.
func (e *examination) parents(s *Step, moves []StepMove, wrong func(Rule, string, ...any)) {
	var open int32
	early := false
	began, ever := firstEnqueue(moves)
	ever = ever || s.State.Active() || s.State == step.WaitingForRetry
	for _, no := range s.Parents {
		p := e.find(no)
		if p == nil {
			wrong(RuleParents, "its parent, step %d, does not exist", no)
			continue
		}
		if !p.State.Satisfies() {
			open++
		}
		switch satisfied := lastInto(e.moves(no), p.State); {
		case early || !ever:
		case !p.State.Satisfies():
			wrong(RuleEarly, "it was enqueued, and its parent %s is %s", p.Name, p.State)
			early = true
		case !began.IsZero() && began.Before(satisfied):
			wrong(RuleEarly, "it was enqueued at %s, before its parent %s was %s", stamp(began), p.Name, p.State)
			early = true
		}
	}
	// Resolving a whole task by hand counts down for open steps only: nobody asks
	// settled ones any more.
	if open != s.OpenParents && (!s.State.Settled() || e.Task.State != task.ResolvedManually) {
		wrong(RuleParents, "it waits for %d parents, and %d are not satisfied", s.OpenParents, open)
	}
}

// firstEnqueue returns when a step was first given to a queue or a worker.
func firstEnqueue(moves []StepMove) (at time.Time, ever bool) {
	for i := range moves {
		if moves[i].passes(step.Enqueued)+moves[i].passes(step.InProgress) > 0 {
			return moves[i].At, true
		}
	}
	return time.Time{}, false
}

// future checks that something will move an open step, and that nothing is left
// of what moved it before.
func (e *examination) future(s *Step, wrong func(Rule, string, ...any)) {
	over := e.Task.State.Terminal()
	if s.Leased && (s.State != step.InProgress || over) {
		wrong(RuleLeftover, "it is %s in a task that is %s, and server %d still holds it", s.State, e.Task.State, s.Owner)
	}
	if !s.WakeAt.IsZero() && (s.State != step.WaitingForRetry || over) {
		wrong(RuleLeftover, "it is %s in a task that is %s, and still has a timer", s.State, e.Task.State)
	}
	if over {
		return
	}
	switch s.State { //nolint:exhaustive // the others wait for nothing
	case step.Pending:
		if s.OpenParents == 0 && e.Task.State != task.Pending {
			wrong(RuleStuck, "it waits for nothing, and is not enqueued")
		}
	case step.WaitingForRetry:
		if s.WakeAt.IsZero() {
			wrong(RuleStuck, "it waits for retry, and has no time for it")
		} else if e.late(s.WakeAt) {
			wrong(RuleOverdue, "its retry was due at %s, %s ago", stamp(s.WakeAt), e.ago(s.WakeAt))
		}
	case step.Enqueued:
		switch live := e.live(s); {
		case live == 0:
			wrong(RuleLostJob, "it is enqueued, and no job stands for dispatch %d", s.Dispatch)
		case live > 1:
			wrong(RuleDoubleJob, "it is enqueued, and %d jobs stand for dispatch %d", live, s.Dispatch)
		}
	case step.InProgress:
		e.lease(s, wrong)
	}
}

func (e *examination) live(s *Step) int {
	n := 0
	for _, j := range e.Jobs {
		if j.No == s.No && j.Dispatch == s.Dispatch {
			n++
		}
	}
	return n
}

// lease checks that somebody has the step, or had it a moment ago.
func (e *examination) lease(s *Step, wrong func(Rule, string, ...any)) {
	if !s.Leased {
		wrong(RuleLease, "it is in progress, and nobody holds it")
		return
	}
	o, known := e.Owners[s.Owner]
	if !known {
		wrong(RuleLease, "it is in progress with server %d, which does not exist", s.Owner)
		return
	}
	until := o.Until
	if until.IsZero() {
		if o.Held {
			return // about to renew for the first time
		}
		until = o.Started
	}
	if until.Add(e.limits.Lease).Before(e.now) {
		wrong(RuleLease, "it is in progress with server %d, which is gone since %s", s.Owner, stamp(until))
	}
}
