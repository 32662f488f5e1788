package audit

import (
	"fmt"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// legs are the pairs of states that some row of a table joins which this system
// emits: a shortcut of the contract that it never takes is no move of its.
type legs[S comparable] map[[2]S]bool

var (
	taskLegs = func() legs[task.State] {
		all := legs[task.State]{}
		for _, m := range task.Moves() {
			if m.Unused == "" {
				all[[2]task.State{m.From, m.To}] = true
			}
		}
		return all
	}()
	stepLegs = func() legs[step.State] {
		all := legs[step.State]{}
		for _, m := range step.Moves() {
			if m.Unused == "" {
				all[[2]step.State{m.From, m.To}] = true
			}
		}
		return all
	}()
)

// law is what a history is held against.
type law[S comparable] struct {
	legs    legs[S]
	begin   S
	final   func(S) bool
	passing func(S) bool
}

var (
	taskLaw = law[task.State]{
		legs: taskLegs, begin: task.Pending, passing: task.State.Passing,
		// A task in error may be tried again.
		final: func(s task.State) bool { return s.Terminal() && s != task.Error },
	}
	stepLaw = law[step.State]{legs: stepLegs, begin: step.Pending, passing: step.State.Passing, final: step.State.Settled}
)

// inOrder sorts out rows of one time by what follows from what: a claim that
// rides in the transaction of its enqueue may have the same time. The rows come
// in the order of their times.
func inOrder[R any, S comparable](rows []R, begin S, of func(*R) *Move[S]) {
	state := begin
	for i := range rows {
		at := of(&rows[i]).At
		for j := i; j < len(rows) && of(&rows[j]).At.Equal(at); j++ {
			if of(&rows[j]).From == state {
				rows[i], rows[j] = rows[j], rows[i]
				break
			}
		}
		state = of(&rows[i]).To
	}
}

// follow checks that a history is a walk through the law that ends in now.
func follow[R any, S comparable](l law[S], rows []R, of func(*R) *Move[S], now S, wrong func(Rule, string, ...any)) {
	state := l.begin
	for i := range rows {
		m := of(&rows[i])
		if l.final(state) {
			wrong(RuleFinal, "row %d of its history goes from %v to %v, and it was %v before", i+1, m.From, m.To, state)
			return
		}
		if m.From != state {
			wrong(RuleHistory, "row %d of its history begins in %v, and the one before ended in %v", i+1, m.From, state)
		}
		if a, b, ok := l.legal(m); !ok {
			wrong(RuleLegal, "row %d of its history, from %v by way of %v to %v, goes from %v to %v", i+1, m.From, m.Path, m.To, a, b)
		} else if l.passing(m.To) {
			wrong(RulePassing, "row %d of its history comes to rest in %v", i+1, m.To)
		}
		state = m.To
	}
	if state != now {
		wrong(RuleHistory, "its history ends in %v, and it is %v", state, now)
	}
}

// legal returns the first leg that is no move.
func (l law[S]) legal(m *Move[S]) (from, to S, ok bool) {
	at := m.From
	for _, next := range m.Path {
		if !l.legs[[2]S{at, next}] {
			return at, next, false
		}
		at = next
	}
	return at, m.To, l.legs[[2]S{at, m.To}]
}

// passes reports how often a row comes into a state, by its path or its end.
func (m *Move[S]) passes(s S) int32 {
	var n int32
	for _, p := range m.Path {
		if p == s {
			n++
		}
	}
	if m.To == s {
		n++
	}
	return n
}

func (t *Task) subject() string { return "task " + t.ID.String() }

func (t *Task) subjectOf(s *Step) string {
	return fmt.Sprintf("task %s step %d (%s)", t.ID, s.No, s.Name)
}
