package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Examine returns what is wrong with a task, the task itself first, then its
// steps by number. Rows of history of one time may change places in c.
func Examine(c *Case, now time.Time, limits Limits) []Violation {
	e := &examination{Case: c, now: now, limits: limits}
	e.real = e.count()
	e.task()
	e.letters()
	for i := range c.Steps {
		e.step(&c.Steps[i])
	}
	e.jobs()
	return e.found
}

type examination struct {
	*Case
	now    time.Time
	limits Limits
	real   task.Counters // as the steps are
	found  []Violation
}

func (e *examination) wrong(rule Rule, detail string, args ...any) {
	e.found = append(e.found, Violation{rule, e.Task.subject(), fmt.Sprintf(detail, args...)})
}

func (e *examination) wrongStep(s *Step, rule Rule, detail string, args ...any) {
	e.found = append(e.found, Violation{rule, e.Task.subjectOf(s), fmt.Sprintf(detail, args...)})
}

func (e *examination) count() task.Counters {
	var n task.Counters
	for i := range e.Steps {
		s := e.Steps[i].State
		n.Total++
		if !s.Settled() {
			n.Open++
		}
		switch {
		case s.Active():
			n.Active++
		case s == step.WaitingForRetry:
			n.Retrying++
		case s == step.Error:
			n.Failed++
		}
	}
	return n
}

func (e *examination) find(no int32) *Step {
	i, ok := slices.BinarySearchFunc(e.Steps, no, func(s Step, no int32) int { return int(s.No - no) })
	if !ok {
		return nil
	}
	return &e.Steps[i]
}

// moves returns the history of a step.
func (e *examination) moves(no int32) []StepMove {
	compare := func(m StepMove, no int32) int { return int(m.No - no) }
	i, _ := slices.BinarySearchFunc(e.StepMoves, no, compare)
	j, _ := slices.BinarySearchFunc(e.StepMoves, no+1, compare)
	return e.StepMoves[i:j]
}

func (e *examination) task() {
	t := &e.Task
	itself := func(m *Move[task.State]) *Move[task.State] { return m }
	inOrder(e.TaskMoves, task.Pending, itself)
	follow(taskLaw, e.TaskMoves, itself, t.State, e.wrong)
	if !t.TemplateKnown {
		e.wrong(RuleTemplate, "it is pinned to the template revision %d, which does not exist", t.Template)
	}
	if t.Counters != e.real {
		e.wrong(RuleCounters, "its counters are %+v, and its steps say %+v", t.Counters, e.real)
	}
	e.rest()
	switch {
	case t.WakeAt.IsZero():
		if t.State == task.Pending && !t.Paused {
			e.wrong(RuleStuck, "it is pending, and nothing will start it")
		}
	case t.State.Terminal():
		e.wrong(RuleLeftover, "it is %s, and still has a timer", t.State)
	case e.late(t.WakeAt):
		e.wrong(RuleOverdue, "it was due at %s, %s ago", stamp(t.WakeAt), e.ago(t.WakeAt))
	}
}

// rest checks that the task is where the states of its steps say.
func (e *examination) rest() {
	t, n := &e.Task, e.real
	switch {
	case t.State.Passing():
		e.wrong(RulePassing, "it is %s, which is only passed through", t.State)
	case t.State == task.Pending:
		if n.Open != n.Total || n.Active+n.Retrying+n.Failed > 0 {
			e.wrong(RuleRest, "it is pending, and some step of it is not")
		}
	case t.State == task.Error:
		if n.Active+n.Retrying > 0 {
			e.wrong(RuleRest, "it has ended in error, and %d of its steps are under way", n.Active+n.Retrying)
		}
	case t.State.Terminal():
		if n.Open > 0 {
			e.wrong(RuleRest, "it is %s, and %d of its steps are open", t.State, n.Open)
		}
	case t.State != n.Rest():
		e.wrong(RuleRest, "it is %s, and its steps say %s", t.State, n.Rest())
	}
}

// letters checks what the task knows of its dead letters, and that what failed
// for good is in one.
func (e *examination) letters() {
	t := &e.Task
	var (
		newest Letter
		open   []int32
		closed time.Time // when the last one was
	)
	for _, l := range e.Letters {
		if l.Open {
			open = append(open, l.Ordinal)
		} else if l.ResolvedAt.After(closed) {
			closed = l.ResolvedAt
		}
		if l.Ordinal >= newest.Ordinal {
			newest = l
		}
	}
	switch {
	case len(open) > 1:
		e.wrong(RuleTwoLetters, "its dead letters %v are open", open)
	case t.Letters != newest.Ordinal:
		e.wrong(RuleLetterFlag, "it knows of %d dead letters, and the newest is number %d", t.Letters, newest.Ordinal)
	case t.LetterOpen != newest.Open:
		e.wrong(RuleLetterFlag, "it says that a dead letter is open: %t; and the newest says %t", t.LetterOpen, newest.Open)
	case len(open) > 0 && t.State.Terminal() && t.State != task.Error:
		e.wrong(RuleLetterFlag, "it is %s, and its dead letter is still open", t.State)
	}
	for i := range e.Steps {
		s := &e.Steps[i]
		if s.State != step.Error {
			continue
		}
		if failed := lastInto(e.moves(s.No), step.Error); len(open) == 0 && (closed.IsZero() || closed.Before(failed)) {
			e.wrongStep(s, RuleLetter, "it failed for good, and no dead letter was open afterwards")
		} else if !slices.Contains(e.Failures, Failure{No: s.No, Dispatch: s.Dispatch}) {
			e.wrongStep(s, RuleLetter, "it failed for good in dispatch %d, and no dead letter holds that", s.Dispatch)
		}
	}
}

// lastInto returns when history last came to a state; zero for never.
func lastInto(moves []StepMove, s step.State) time.Time {
	for i := len(moves) - 1; i >= 0; i-- {
		if moves[i].To == s {
			return moves[i].At
		}
	}
	return time.Time{}
}

// jobs checks that every job stands for a dispatch that was made. One that was
// live before is harmless: the next claim removes it.
func (e *examination) jobs() {
	for _, j := range e.Jobs {
		s := e.find(j.No)
		switch {
		case s == nil:
			e.wrong(RuleStrayJob, "job %d is for its step %d, which does not exist", j.ID, j.No)
		case j.Dispatch < 1 || j.Dispatch > s.Dispatch:
			e.wrongStep(s, RuleStrayJob, "job %d is for dispatch %d, and the last one was %d", j.ID, j.Dispatch, s.Dispatch)
		case e.Task.State.Terminal():
			e.wrongStep(s, RuleLeftover, "job %d waits, and the task is %s", j.ID, e.Task.State)
		case j.Parked && !e.Task.Paused:
			e.wrongStep(s, RuleParked, "job %d is set aside, and nothing is paused", j.ID)
		}
	}
}

func (e *examination) late(at time.Time) bool { return at.Add(e.limits.Grace).Before(e.now) }

func (e *examination) ago(at time.Time) time.Duration { return e.now.Sub(at).Round(time.Second) }

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }
