package plan

import (
	"encoding/json"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Action is what a person does to a step.
type Action uint8

// The actions; the zero Action is none.
const (
	ResetForRetry    Action = iota + 1 // a step in error runs again, its attempts counted anew
	ResolveManually                    // it counts as done, without a result
	CompleteManually                   // it is complete with the given result
)

var actionEvents = [...]step.Event{
	ResetForRetry: step.ResetForRetry, ResolveManually: step.ResolveManually, CompleteManually: step.CompleteManually,
}

// StepOrder is an action on one step.
type StepOrder struct {
	No     int32
	Action Action
	Value  json.RawMessage // for CompleteManually
	Inputs json.RawMessage // for ResetForRetry: what the handler gets from now on; nil for what it got
}

// Order is what a person wants of the steps of one task: all of it happens, or
// none.
type Order struct {
	Steps []StepOrder
	// Failed is what to do with the steps in error that Steps does not name. A
	// task that has ended in error is revived by it.
	Failed Action
	// Letter, when not zero, is the ordinal of the dead letter that must be open
	// for the order to hold.
	Letter int32
}

// Whole reports whether the order is about all steps of its task.
func (o *Order) Whole() bool { return o.Failed != 0 }

// obey carries an order out, or says why not; then nothing is changed.
func (d *draft) obey(w *Wake, known Task) (Refusal, error) {
	o := w.Order
	if code := mayOrder(o, known); code != 0 {
		return Refusal{Code: code, State: known.State}, nil
	}
	orders, code := d.ordersOf(w.Ref.Task, o)
	if code != 0 {
		return Refusal{Code: code, State: known.State}, nil
	}
	for _, s := range orders {
		now, ok := d.peek(ident.StepRef{Task: w.Ref.Task, No: s.No})
		if !ok {
			return Refusal{Code: Unknown, State: known.State}, nil
		}
		if _, err := now.State.On(actionEvents[s.Action]); err != nil {
			return Refusal{Code: Illegal, State: known.State, Detail: err.Error()}, nil //nolint:nilerr // refusing is an answer
		}
	}
	t := d.task(w.Ref.Task)
	t.By, t.Why = w.By, w.Why
	if t.State == task.Error || t.State == task.BlockedByFailures && o.Failed == ResetForRetry {
		t.how = revived
	}
	if !t.Deadline.After(d.snap.Now) {
		t.Deadline = noTime // it has passed: the task gets all the time that it needs
	}
	t.WakeAt = t.Deadline
	for _, s := range orders {
		c := d.step(ident.StepRef{Task: w.Ref.Task, No: s.No})
		c.By, c.Why = w.By, w.Why
		if err := d.act(t, c, s); err != nil {
			return Refusal{}, err
		}
	}
	if t.how == revived {
		return Refusal{}, d.enqueueReady(t)
	}
	return Refusal{}, nil
}

func mayOrder(o *Order, t Task) RefusalCode {
	switch {
	case o.Letter != 0 && (!t.LetterOpen || t.Letters != o.Letter):
		return NotOpen
	case t.State == task.Error && !o.Whole():
		return InError
	case t.State.Terminal() && t.State != task.Error:
		return Finished
	case t.State == task.Pending:
		return NotStarted
	default:
		return 0
	}
}

// ordersOf lists the actions on single steps that an order comes to.
func (d *draft) ordersOf(id ident.TaskID, o *Order) ([]StepOrder, RefusalCode) {
	orders := o.Steps
	if !o.Whole() {
		return orders, 0
	}
	named := make(map[int32]bool, len(o.Steps))
	for _, s := range o.Steps {
		named[s.No] = true
	}
	for _, ref := range inOrder(d.snap.Steps) {
		if s, _ := d.peek(ref); ref.Task == id && s.State == step.Error && !named[ref.No] {
			orders = append(orders[:len(orders):len(orders)], StepOrder{No: ref.No, Action: o.Failed})
		}
	}
	known := d.snap.Tasks[id]
	if len(orders) == 0 && known.State != task.Error {
		return nil, NoFailure
	}
	return orders, 0
}

func (d *draft) act(t *TaskChange, c *StepChange, s StepOrder) error {
	d.withdraw(t, c)
	switch s.Action {
	case ResetForRetry:
		c.Attempts, c.Losses = 0, 0
		c.Inputs = s.Inputs
		return d.enqueue(t, c, step.ResetForRetry, step.Enqueue)
	case CompleteManually:
		c.Value = s.Value
	case ResolveManually:
	}
	if err := d.move(t, c, actionEvents[s.Action]); err != nil {
		return err
	}
	return d.satisfy(t, c)
}
