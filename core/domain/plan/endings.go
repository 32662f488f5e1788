package plan

import (
	"time"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// End is a way in which a task ends other than by its own results.
type End uint8

// The ends.
const (
	CancelTask     End = iota + 1 // every open step is cancelled
	GiveUpTask                    // a blocked task ends in error
	ResolveTask                   // every open step, and the task, count as resolved by hand
	DeadlinePassed                // the task ends in error, its steps are halted
	StoodStill                    // the same, where the template wants that of stale tasks
)

var noTime time.Time

// Ending asks for a task to end now.
type Ending struct {
	Task ident.TaskID
	End  End
	By   string
	Why  string
	// Letter, when not zero, is the ordinal of the dead letter that must be open
	// for the task to end.
	Letter int32
	// Since, for StoodStill, is when the asker saw the task come into its state.
	Since time.Time
}

// RefusalCode says why a request about a task was not carried out.
type RefusalCode uint8

// The refusals; the zero RefusalCode is none.
const (
	Unknown    RefusalCode = iota + 1 // there is no such task, or no such step in it
	Finished                          // the task is in a terminal state
	NotBlocked                        // only a task that is blocked by failures can be given up
	NotStarted                        // the task has not started
	InError                           // the task ended in error: only all of it can be tried again
	NoFailure                         // there is no failed step to retry
	Illegal                           // the state machine has no such move
	NotOpen                           // the dead letter is not open any more
	NotDue                            // what was asked for is not, or not any more, the case
)

// Refusal is the answer to a request about a task: none, or why it was not
// carried out.
type Refusal struct {
	Code   RefusalCode
	State  task.State // of the task
	Detail string     // for Illegal: what the state machine says
}

// Refused reports whether the request was not carried out.
func (r Refusal) Refused() bool { return r.Code != 0 }

// AfterEndings ends tasks with all their steps. The snapshot holds every step
// of theirs.
func AfterEndings(snap *Snapshot, defs Definitions, rules Rules, endings []Ending) (Decision, []Refusal, error) {
	d := newDraft(snap, defs, rules)
	refusals := make([]Refusal, len(endings))
	for i, e := range endings {
		known, ok := snap.Tasks[e.Task]
		if !ok {
			refusals[i] = Refusal{Code: Unknown}
			continue
		}
		if begun, ok := d.tasks[e.Task]; ok {
			known = begun.Task
		}
		if code := mayEnd(e, known, snap); code != 0 {
			refusals[i] = Refusal{Code: code, State: known.State}
			continue
		}
		if err := d.end(e); err != nil {
			return Decision{}, nil, err
		}
	}
	out, err := d.decide()
	return out, refusals, err
}

func mayEnd(e Ending, t Task, snap *Snapshot) RefusalCode {
	switch {
	case e.Letter != 0 && (!t.LetterOpen || t.Letters != e.Letter):
		return NotOpen
	case e.End == ResolveTask && t.State == task.Error:
		return 0
	case t.State.Terminal():
		return Finished
	case e.End == GiveUpTask && t.State != task.BlockedByFailures:
		return NotBlocked
	case e.End == DeadlinePassed && (t.State == task.Pending || t.Deadline.IsZero() || t.Deadline.After(snap.Now) || t.WakeAt.IsZero()):
		return NotDue
	case e.End == StoodStill && (t.State == task.Pending || !t.EnteredAt.Equal(e.Since) || anyRunning(t.ID, snap)):
		return NotDue
	default:
		return 0
	}
}

// anyRunning reports whether a worker has a step of a task: then the task does
// not stand still, whatever its clock says.
func anyRunning(id ident.TaskID, snap *Snapshot) bool {
	for ref, s := range snap.Steps {
		if ref.Task == id && s.State == step.InProgress {
			return true
		}
	}
	return false
}

func (d *draft) end(e Ending) error {
	t := d.task(e.Task)
	life := d.defs(t.Template).Lifecycle
	filed := life.AutoDLQOnTimeout == nil || *life.AutoDLQOnTimeout
	if e.End == DeadlinePassed && life.AutoFailOnTimeout != nil && !*life.AutoFailOnTimeout {
		t.WakeAt = noTime
		if filed && !t.LetterOpen {
			d.openLetter(t, deadletter.StalenessTimeout, true, e.Why)
		}
		return nil
	}
	t.By, t.Why, t.how = e.By, e.Why, ended
	switch e.End {
	case CancelTask:
		return d.endWith(t, step.Cancel, task.Cancel)
	case ResolveTask:
		event := task.ResolveByHand
		if t.State == task.BlockedByFailures {
			event = task.ManualResolution
		}
		return d.endWith(t, step.ResolveManually, event)
	case GiveUpTask:
		if err := t.walk(task.GiveUp); err != nil {
			return err
		}
		if t.LetterOpen {
			d.closeNow(t, deadletter.PermanentlyFailed, e.By, e.Why)
		}
		return nil
	case DeadlinePassed, StoodStill:
		if err := d.haltAll(t); err != nil {
			return err
		}
		if filed && !t.LetterOpen {
			d.openLetter(t, deadletter.StalenessTimeout, false, e.Why)
		}
		return t.walk(task.Timeout)
	default:
		return nil
	}
}

// endWith ends every open step, then the task.
func (d *draft) endWith(t *TaskChange, each step.Event, all task.Event) error {
	for _, ref := range inOrder(d.snap.Steps) {
		if ref.Task != t.ID || d.snap.Steps[ref].State.Settled() {
			continue
		}
		c := d.step(ref)
		c.By, c.Why = t.By, t.Why
		d.withdraw(t, c)
		if each == step.ResolveManually {
			c.OpenParents = 0 // whatever it waited for is resolved with it
		}
		if err := d.move(t, c, each); err != nil {
			return err
		}
	}
	return t.walk(all)
}
