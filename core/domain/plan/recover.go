package plan

import (
	"fmt"
	"time"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Cause says why something is to move without a result.
type Cause uint8

// The causes.
const (
	RetryDue  Cause = iota + 1 // a step's wait is over
	LeaseLost                  // the worker that held a step, or its server, is gone
	StartDue                   // a task's time to start has come
	Stale                      // a task has stood still for too long: it becomes a dead letter
	Unserved                   // no worker has declared the handler of a step for too long: likewise
	Filed                      // a person makes a task a dead letter
	Ordered                    // a person acts on steps; see Order
)

// Wake asks for something to move.
type Wake struct {
	Ref      ident.StepRef // number 0: the task as a whole
	Dispatch int32         // the dispatch that the asker saw; another one means that it is late
	Cause    Cause
	Since    time.Time // for Stale: when the asker saw the task come into its state
	By, Why  string
	Order    *Order // for Ordered
}

// Whole reports whether the task must be seen with all its steps.
func (w *Wake) Whole() bool {
	return w.Cause == StartDue || w.Cause == Ordered && w.Order.Whole()
}

// AfterWakes enqueues steps whose wait is over and those whose worker is gone,
// starts tasks, opens dead letters, and does what people order. What has moved
// on since it was asked for is left alone, and its refusal says so.
func AfterWakes(snap *Snapshot, defs Definitions, rules Rules, wakes []Wake) (Decision, []Refusal, error) {
	d := newDraft(snap, defs, rules)
	refusals := make([]Refusal, len(wakes))
	for i := range wakes {
		r, err := d.wake(&wakes[i])
		if err != nil {
			return Decision{}, nil, err
		}
		refusals[i] = r
	}
	out, err := d.decide()
	return out, refusals, err
}

func (d *draft) wake(w *Wake) (Refusal, error) {
	known, ok := d.snap.Tasks[w.Ref.Task]
	if !ok {
		return Refusal{Code: Unknown}, nil
	}
	if begun, ok := d.tasks[w.Ref.Task]; ok {
		known = begun.Task
	}
	late := Refusal{Code: NotDue, State: known.State}
	switch w.Cause {
	case Ordered:
		return d.obey(w, known)
	case StartDue:
		if known.State != task.Pending || known.WakeAt.IsZero() || known.WakeAt.After(d.snap.Now) {
			return late, nil
		}
		return Refusal{}, d.start(d.task(w.Ref.Task))
	case Stale, Unserved, Filed:
		return d.file(w, known), nil
	case RetryDue, LeaseLost:
	}
	s, ok := d.peek(w.Ref)
	if !ok || s.Dispatch != w.Dispatch {
		return late, nil
	}
	t := d.task(w.Ref.Task)
	switch {
	case w.Cause == RetryDue && s.State == step.WaitingForRetry:
		return Refusal{}, d.enqueue(t, d.step(w.Ref), step.Retry, step.Enqueue)
	case w.Cause == LeaseLost && s.State == step.InProgress:
		return Refusal{}, d.lost(t, d.step(w.Ref), w.Why)
	default:
		return late, nil
	}
}

// lost gives back the attempt that the lost lease had begun; losses have a
// limit of their own.
func (d *draft) lost(t *TaskChange, c *StepChange, why string) error {
	c.Losses++
	c.Why, c.Stop = why, true
	c.Attempts--
	if c.Losses >= d.rules.MaxLosses {
		c.Failure = &step.Failure{
			Type:    step.TypeWorkerUnavailable,
			Message: fmt.Sprintf("%d workers were lost while they ran this step", c.Losses),
		}
		return d.ruin(t, c, deadletter.WorkerUnavailable, step.Fail)
	}
	return d.enqueue(t, c, step.LeaseLost, step.Enqueue)
}

// start enqueues the roots of a task that had to wait for its time.
func (d *draft) start(t *TaskChange) error {
	t.WakeAt, t.how = t.Deadline, started
	return d.enqueueReady(t)
}

// enqueueReady enqueues every pending step of a task that waits for nothing.
func (d *draft) enqueueReady(t *TaskChange) error {
	for _, ref := range inOrder(d.snap.Steps) {
		if ref.Task != t.ID {
			continue
		}
		if s, _ := d.peek(ref); s.State == step.Pending && s.OpenParents == 0 {
			if err := d.enqueue(t, d.step(ref), step.Enqueue); err != nil {
				return err
			}
		}
	}
	return nil
}

// file opens a dead letter for a task that no step of it failed in.
func (d *draft) file(w *Wake, known Task) Refusal {
	late := Refusal{Code: NotDue, State: known.State}
	switch {
	case known.State.Terminal() && known.State != task.Error:
		return Refusal{Code: Finished, State: known.State}
	case known.LetterOpen:
		return late
	case w.Cause == Stale && !known.EnteredAt.Equal(w.Since):
		return late
	case w.Cause == Unserved:
		if s, ok := d.peek(w.Ref); !ok || s.State != step.Enqueued || s.Dispatch != w.Dispatch {
			return late
		}
	}
	reason := map[Cause]deadletter.Reason{
		Stale: deadletter.StalenessTimeout, Unserved: deadletter.WorkerUnavailable, Filed: deadletter.ManualDLQ,
	}[w.Cause]
	d.openLetter(d.task(w.Ref.Task), reason, w.Cause != Filed, w.Why)
	return Refusal{}
}
