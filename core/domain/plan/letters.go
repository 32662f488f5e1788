package plan

import (
	"fmt"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
)

// ruin fails a step for good: a dead letter is opened for its task, or the
// failure is added to the open one. Where the template wants it, the task fails
// with the step.
func (d *draft) ruin(t *TaskChange, c *StepChange, reason deadletter.Reason, events ...step.Event) error {
	if err := d.move(t, c, events...); err != nil {
		return err
	}
	def := d.defs(t.Template)
	d.addFailure(t, reason, LetterFailure{
		Ref: c.Ref, Name: def.Step(c.Def).Name, Dispatch: c.Dispatch, Attempt: c.Attempts,
		Type: c.Failure.Type, Message: c.Failure.Message,
		Fingerprint: deadletter.Fingerprint(def.Namespace, def.Name, def.Step(c.Def).Name, c.Failure.Type, c.Failure.Message),
	})
	if def.OnFailure != template.FailTaskFast || t.how == failedFast {
		return nil
	}
	if !d.snap.Whole[t.ID] {
		d.whole = append(d.whole, t.ID)
		return nil
	}
	t.how = failedFast
	t.Why = fmt.Sprintf("step %s failed, and the template says on_failure: fail_fast", def.Step(c.Def).Name)
	return d.haltAll(t)
}

// haltAll brings the steps of a task that are under way back to pending: the
// task ends in error, and may be tried again whole.
func (d *draft) haltAll(t *TaskChange) error {
	for _, ref := range inOrder(d.snap.Steps) {
		if ref.Task != t.ID {
			continue
		}
		s, _ := d.peek(ref)
		if !s.State.Active() && s.State != step.WaitingForRetry {
			continue
		}
		c := d.step(ref)
		if c.From == step.Pending { // enqueued a moment ago, in this very draft
			count(t, c.State, -1)
			count(t, step.Pending, +1)
			c.State, c.Path, c.Dispatch = step.Pending, nil, c.Live
			continue
		}
		d.withdraw(t, c)
		if c.State == step.InProgress {
			c.Attempts-- // it was not let finish
		}
		if err := d.move(t, c, step.Halt); err != nil {
			return err
		}
	}
	return nil
}

// addFailure adds a failure to the open dead letter of a task, or opens one for
// it. One that was about standing still is closed: the task did move.
func (d *draft) addFailure(t *TaskChange, reason deadletter.Reason, f LetterFailure) {
	if t.LetterOpen && t.LetterStale {
		d.closeNow(t, deadletter.ManuallyResolved, "", "the task moved on by itself")
	}
	l := d.openLetter(t, reason, false, "")
	l.Failures = append(l.Failures, f)
}

// openLetter returns the change of the open dead letter of a task; if none is
// open, of a new one.
func (d *draft) openLetter(t *TaskChange, reason deadletter.Reason, stale bool, note string) *LetterChange {
	if t.LetterOpen {
		for _, l := range d.letters {
			if l.Task == t.ID && l.Ordinal == t.Letters {
				return l
			}
		}
	} else {
		t.Letters++
		t.LetterOpen, t.LetterStale = true, stale
	}
	l := &LetterChange{ID: deadletter.ID(t.ID, t.Letters), Task: t.ID, Template: t.Template, Ordinal: t.Letters}
	if known := d.snap.Tasks[t.ID]; !known.LetterOpen || known.Letters != t.Letters {
		l.Reason, l.State, l.Note = reason, t.From, note
	}
	d.letters = append(d.letters, l)
	return l
}

// closeLetter closes the dead letter of a task that has left the failure, by
// whatever way.
func (d *draft) closeLetter(t *TaskChange) {
	switch {
	case !t.LetterOpen:
	case t.State == task.Cancelled:
		d.closeNow(t, deadletter.Cancelled, t.By, t.Why)
	case t.State == task.Error:
		// It stays open, for somebody to look at; who gave up has looked. See
		// AfterEndings.
		t.LetterStale = false
	case t.State.Terminal(), t.From == task.Error, t.failed > 0 && t.Failed == 0:
		d.closeNow(t, deadletter.ManuallyResolved, t.By, t.Why)
	case t.LetterStale && t.stirred && d.snap.Tasks[t.ID].LetterOpen:
		d.closeNow(t, deadletter.ManuallyResolved, t.By, "the task moved on by itself")
	}
}

func (d *draft) closeNow(t *TaskChange, status deadletter.Status, by, why string) {
	d.letters = append(d.letters, &LetterChange{
		ID: deadletter.ID(t.ID, t.Letters), Task: t.ID, Template: t.Template, Ordinal: t.Letters,
		Closed: status, By: by, Why: why,
	})
	t.LetterOpen, t.LetterStale = false, false
}
