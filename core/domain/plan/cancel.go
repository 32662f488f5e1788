package plan

import (
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Cancel asks for a task to end now.
type Cancel struct {
	Task ident.TaskID
	By   string
	Why  string
}

// Refusal says why a request about a task was not carried out.
type Refusal uint8

// The refusals; the zero Refusal is none.
const (
	Unknown  Refusal = iota + 1 // there is no such task
	Finished                    // the task is in a terminal state
)

// AfterCancels ends tasks with all their steps. The snapshot holds every step
// of theirs.
func AfterCancels(snap *Snapshot, defs Definitions, rules Rules, cancels []Cancel) (Decision, []Refusal, error) {
	d := newDraft(snap, defs, rules)
	refusals := make([]Refusal, len(cancels))
	doomed := make(map[ident.TaskID]bool, len(cancels))
	for i, c := range cancels {
		known, ok := snap.Tasks[c.Task]
		switch {
		case !ok:
			refusals[i] = Unknown
		case known.State.Terminal() || doomed[c.Task]:
			refusals[i] = Finished
		default:
			doomed[c.Task] = true
			t := d.task(c.Task)
			t.By, t.Why = c.By, c.Why
		}
	}
	for _, ref := range inOrder(snap.Steps) {
		if s := snap.Steps[ref]; !doomed[ref.Task] || s.State.Settled() {
			continue
		}
		if err := d.move(d.task(ref.Task), d.step(ref), step.Cancel); err != nil {
			return Decision{}, nil, err
		}
	}
	for _, t := range d.order.tasks {
		next, err := t.State.On(task.Cancel)
		if err != nil {
			return Decision{}, nil, err
		}
		t.State = next
	}
	out, err := d.decide()
	return out, refusals, err
}
