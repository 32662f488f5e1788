package plan

import (
	"fmt"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
)

// Cause says why a step is to move without a result.
type Cause uint8

// The causes.
const (
	RetryDue  Cause = iota + 1 // its wait is over
	LeaseLost                  // the worker that held it, or its server, is gone
)

// Wake asks for a step to be enqueued again.
type Wake struct {
	Ref      ident.StepRef
	Dispatch int32 // the dispatch that the asker saw; another one means that it is late
	Cause    Cause
}

// AfterWakes enqueues steps whose wait is over and those whose worker is gone.
// One that has moved on since it was asked for is left alone. The snapshot
// decides, and not the asker, whether a retry is due: due holds for the steps
// that the database found due.
func AfterWakes(snap *Snapshot, defs Definitions, rules Rules, wakes []Wake) (Decision, error) {
	d := newDraft(snap, defs, rules)
	for _, w := range wakes {
		if err := d.wake(w); err != nil {
			return Decision{}, err
		}
	}
	return d.decide()
}

func (d *draft) wake(w Wake) error {
	known, ok := d.peek(w.Ref)
	if !ok || known.Dispatch != w.Dispatch {
		return nil
	}
	t := d.task(w.Ref.Task)
	if t == nil {
		return fmt.Errorf("step %s: its task is missing from the snapshot", w.Ref)
	}
	switch {
	case w.Cause == RetryDue && known.State == step.WaitingForRetry:
		return d.enqueue(t, d.step(w.Ref), step.Retry, step.Enqueue)
	case w.Cause == LeaseLost && known.State == step.InProgress:
		return d.lost(t, d.step(w.Ref))
	default:
		return nil
	}
}

// lost gives back the attempt that the lost lease had begun; losses have a
// limit of their own.
func (d *draft) lost(t *TaskChange, c *StepChange) error {
	c.Losses++
	if c.Losses > d.rules.MaxLosses {
		c.Failure = &step.Failure{
			Type:    step.TypeWorkerUnavailable,
			Message: fmt.Sprintf("%d workers were lost while they ran this step", c.Losses),
		}
		return d.move(t, c, step.Fail)
	}
	c.Attempts--
	return d.enqueue(t, c, step.LeaseLost, step.Enqueue)
}
