// Package checker looks at a database of Tasker after all its tasks have ended,
// and at what the handlers themselves have logged, and says what cannot be. It
// shares no code with the server: its SQL, its copy of the two state machines
// and its counting are its own, so that the same mistake is not made twice.
package checker

import (
	"context"
	"fmt"
	"time"

	"github.com/tasker-go/tasker/test/crash/runlog"
)

// The rules, as violations name them.
const (
	RuleAcknowledged = "acknowledged" // a task that a client was told of exists
	RuleEnded        = "ended"        // every task and step is complete
	RuleLegal        = "legal"        // every move, and every leg of its path, is in the state machine
	RuleContinuous   = "continuous"   // a history begins in pending, has no gap, and ends in the stored state
	RuleOnce         = "once"         // exactly one row of history settles a step or ends a task
	RuleAttempts     = "attempts"     // no attempt beyond the limit; lost leases cost none
	RuleEarly        = "early"        // no step begins before its parents are complete
	RuleResult       = "result"       // a stored result was returned by a run in the log
	RuleRun          = "run"          // a run in the log has a claim in history
	RuleDispatch     = "dispatch"     // dispatch numbers go up by one at each enqueue, and only there
	RuleCounters     = "counters"     // a task's counters are those of its steps
	RuleCounts       = "counts"       // folded counts and deltas are the real numbers
	RuleLeftover     = "leftover"     // no job, lease or timer is left, and no row without its owner
	RuleLog          = "log"          // the log itself makes sense
)

// Evidence is what is known from outside the database.
type Evidence struct {
	Log          []runlog.Line
	Acknowledged []string // ids of the tasks that clients were told of
	MaxAttempts  int      // of every step
}

// Violation is something that cannot be.
type Violation struct {
	Rule    string
	Subject string
	Detail  string
}

// String says it in a line.
func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Rule, v.Subject, v.Detail) }

// Report is what was found.
type Report struct {
	Tasks, Steps, Moves int
	Runs                int         // calls of handlers
	Ended, Failed       int         // of them, those that returned a result, or an error
	CutOff              int         // of them, those that did not return
	Repeats             int         // runs of an attempt that another run had begun
	Released            []time.Time // when lost leases were given up
	Retries             int
	Violations          []Violation
}

type check struct {
	*stored
	e      Evidence
	report Report

	steps map[stepKey]*stepRow
	names map[runKey]int // number of a step by its name
	moves map[stepKey][]stepMove
	done  map[stepKey]time.Time // when history says that a step was complete
}

type stepKey struct {
	task string
	no   int
}

type runKey struct{ task, name string }

func (k stepKey) String() string { return fmt.Sprintf("step %s/%d", k.task, k.no) }

// Check compares the database with the evidence. The error says that it could
// not look; what it saw stands in the report.
func Check(ctx context.Context, q Querier, e Evidence) (*Report, error) {
	data, err := load(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("checker: %w", err)
	}
	c := &check{
		stored: data, e: e, steps: map[stepKey]*stepRow{}, names: map[runKey]int{},
		moves: map[stepKey][]stepMove{}, done: map[stepKey]time.Time{},
	}
	c.report.Tasks, c.report.Steps = len(data.tasks), len(data.steps)
	c.report.Moves = len(data.taskMoves) + len(data.stepMoves)
	for i := range data.steps {
		s := &data.steps[i]
		c.steps[stepKey{s.Task, s.No}] = s
		c.names[runKey{s.Task, s.Name}] = s.No
	}
	c.tasks()
	c.histories()
	c.numbers()
	c.log()
	return &c.report, nil
}

func (c *check) wrong(rule string, subject any, format string, args ...any) {
	c.report.Violations = append(c.report.Violations, Violation{rule, fmt.Sprint(subject), fmt.Sprintf(format, args...)})
}

// tasks checks what each task is now, and its history.
func (c *check) tasks() {
	history := map[string][]taskMove{}
	for _, m := range c.taskMoves {
		history[m.Task] = append(history[m.Task], m)
	}
	known := make(map[string]bool, len(c.stored.tasks))
	for _, t := range c.stored.tasks {
		known[t.ID] = true
		subject := "task " + t.ID
		if t.State != "complete" {
			c.wrong(RuleEnded, subject, "is %s", t.State)
		}
		moves := inOrder(history[t.ID])
		follow(c, subject, taskLaw, moves, t.State)
		ends := 0
		for _, m := range moves {
			if m.To == "complete" {
				ends++
			}
		}
		if ends != 1 {
			c.wrong(RuleOnce, subject, "its history has %d rows into complete, want 1", ends)
		}
	}
	for id := range history {
		if !known[id] {
			c.wrong(RuleLeftover, "task "+id, "has a history and does not exist")
		}
	}
	for _, id := range c.e.Acknowledged {
		if !known[id] {
			c.wrong(RuleAcknowledged, "task "+id, "was acknowledged and does not exist")
		}
	}
}

// inOrder sorts out rows of one time by what follows from what: a claim that
// rides in the transaction of its enqueue may have the same time. The rows are
// in the order of their times.
func inOrder[H hop](moves []H) []H {
	state := "pending"
	for i := range moves {
		for j := i; j < len(moves) && moves[j].at().Equal(moves[i].at()); j++ {
			if from, _, _ := moves[j].ends(); from == state {
				moves[i], moves[j] = moves[j], moves[i]
				break
			}
		}
		_, state, _ = moves[i].ends()
	}
	return moves
}

// follow checks that a history is a walk through the law that ends in now.
func follow[H hop](c *check, subject any, law map[move]bool, moves []H, now string) {
	state := "pending"
	for i, m := range moves {
		from, to, path := m.ends()
		if from != state {
			c.wrong(RuleContinuous, subject, "row %d begins in %s, and the one before ended in %s", i+1, from, state)
		}
		at := from
		for _, next := range append(path, to) {
			if !law[move{at, next}] {
				c.wrong(RuleLegal, subject, "row %d goes from %s to %s", i+1, at, next)
			}
			at = next
		}
		if passing[to] {
			c.wrong(RuleLegal, subject, "row %d comes to rest in %s", i+1, to)
		}
		state = to
	}
	if state != now {
		c.wrong(RuleContinuous, subject, "its history ends in %s, and it is %s", state, now)
	}
}
