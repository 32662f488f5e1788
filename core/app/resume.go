package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// The actions of a resume. All but the last are about steps.
const (
	actionReset   = "reset"   // failed steps run again, their attempts counted anew
	actionSkip    = "skip"    // they count as done, without a result
	actionResolve = "resolve" // they are complete with a given result, or null
	actionGiveUp  = "give_up" // the task ends in error
)

var stepActions = map[string]plan.Action{
	actionReset: plan.ResetForRetry, actionSkip: plan.ResolveManually, actionResolve: plan.CompleteManually,
}

// ResumeOne asks for one dead letter to be resumed.
type ResumeOne struct {
	Entry   deadletter.EntryID
	Action  string       // on the failed steps that Steps does not name: reset (when empty), skip, resolve or give_up
	Steps   []ResumeStep // exceptions
	By, Why string
}

// ResumeStep is what to do with one failed step.
type ResumeStep struct {
	Name   string
	Action string          // reset, skip or resolve; empty for what is done with the others
	Value  json.RawMessage // the result, for resolve; null when empty
	Inputs json.RawMessage // for reset: an object that the handler gets instead of its initialization; nil for what it got
}

// redo is how dead letters are resumed.
type redo struct {
	failed  plan.Action // zero: the tasks are given up
	steps   []plan.StepOrder
	by, why string
}

func actionOf(field, name string) (plan.Action, error) {
	if name == actionGiveUp {
		return 0, nil
	}
	if name == "" {
		name = actionReset
	}
	a, ok := stepActions[name]
	if !ok {
		return 0, fault.In(field, fault.CodeInvalidField, "%s is %q, want reset, skip, resolve or give_up", field, name)
	}
	return a, nil
}

// ResumeDeadLetter resumes an open dead letter, and with that closes it: a second
// call is refused. One in which no step failed is closed; if its task has ended
// in error, that is revived. Faults: dead_letter_not_found, dead_letter_closed,
// step_not_found, illegal_transition, task_not_blocked, invalid_field,
// payload_too_large.
func (a *Application) ResumeDeadLetter(ctx context.Context, r ResumeOne) (Task, error) {
	noteChange(ctx, targetDeadLetter, r.Entry.String(), r.Why)
	if err := checkWho(r.By, r.Why); err != nil {
		return Task{}, err
	}
	failed, err := actionOf("action", r.Action)
	if err != nil {
		return Task{}, err
	}
	l, err := a.Letters.Letter(ctx, r.Entry)
	if err == nil && !PrincipalOf(ctx).Within(l.Name.Namespace) {
		err = noLetter(r.Entry)
	}
	if err != nil {
		return Task{}, err
	}
	noteNamespace(ctx, l.Name.Namespace)
	if l.Status != deadletter.Pending {
		return Task{}, fault.New(fault.CodeDeadLetterClosed, "dead letter %s is %s already", l.ID, l.Status).With("status", l.Status.String())
	}
	orders, err := a.stepOrders(ctx, l.Task, failed, r.Steps)
	if err != nil {
		return Task{}, err
	}
	do := redo{failed: failed, steps: orders, by: r.By, why: r.Why}
	key := ports.LetterKey{ID: l.ID, Task: l.Task, Ordinal: l.Ordinal}
	var refused plan.Refusal
	if failed == 0 {
		refused, err = a.Finalizer.Ask(ctx, do.ending(key))
	} else {
		refused, err = a.Enqueuer.Ask(ctx, do.wake(key))
	}
	if err == nil {
		err = a.afterRedo(ctx, do, key, refused)
	}
	if err != nil {
		return Task{}, err
	}
	return a.GetTask(ctx, l.Task)
}

// stepOrders finds the named steps and checks what is to be done with them.
func (a *Application) stepOrders(ctx context.Context, id ident.TaskID, others plan.Action, steps []ResumeStep) ([]plan.StepOrder, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	if others == 0 {
		return nil, fault.In("steps", fault.CodeInvalidField, "steps cannot be given with action give_up, which is about the whole task")
	}
	_, records, err := a.Reads.Task(ctx, id)
	if err != nil {
		return nil, err
	}
	numbers := make(map[string]int32, len(records))
	for i := range records {
		numbers[records[i].Name] = records[i].Ref.No
	}
	orders := make([]plan.StepOrder, len(steps))
	seen := map[string]bool{}
	for i, s := range steps {
		field := fmt.Sprintf("steps[%d]", i)
		no, ok := numbers[s.Name]
		switch {
		case !ok:
			return nil, fault.In(field+".name", fault.CodeStepNotFound, "task %s has no step %q", id, s.Name)
		case seen[s.Name]:
			return nil, fault.In(field+".name", fault.CodeInvalidField, "step %q is named twice", s.Name)
		}
		seen[s.Name] = true
		if orders[i], err = a.stepOrder(field, no, others, s); err != nil {
			return nil, err
		}
	}
	return orders, nil
}

func (a *Application) stepOrder(field string, no int32, others plan.Action, s ResumeStep) (plan.StepOrder, error) {
	o := plan.StepOrder{No: no, Action: others}
	if s.Action != "" {
		var ok bool
		if o.Action, ok = stepActions[s.Action]; !ok {
			return o, fault.In(field+".action", fault.CodeInvalidField, "%s.action is %q, want reset, skip or resolve", field, s.Action)
		}
	}
	switch {
	case s.Value != nil && o.Action != plan.CompleteManually:
		return o, fault.In(field+".value", fault.CodeInvalidField, "%s.value is for action resolve alone", field)
	case s.Inputs != nil && o.Action != plan.ResetForRetry:
		return o, fault.In(field+".inputs", fault.CodeInvalidField, "%s.inputs is for action reset alone", field)
	}
	if o.Action == plan.CompleteManually {
		if o.Value = s.Value; len(o.Value) == 0 {
			o.Value = json.RawMessage("null")
		}
		return o, jsondoc.Check(field+".value", o.Value, a.Limits.Result)
	}
	o.Inputs = s.Inputs
	return o, a.checkInputs(field+".inputs", s.Inputs)
}

func (r redo) wake(k ports.LetterKey) plan.Wake {
	return plan.Wake{
		Ref: ident.StepRef{Task: k.Task}, Cause: plan.Ordered, By: r.by, Why: r.why,
		Order: &plan.Order{Failed: r.failed, Steps: r.steps, Letter: k.Ordinal},
	}
}

func (r redo) ending(k ports.LetterKey) plan.Ending {
	return plan.Ending{Task: k.Task, End: plan.GiveUpTask, Letter: k.Ordinal, By: r.by, Why: r.why}
}

// afterRedo closes a letter that the planner refused since there is nothing to do
// with its task; other refusals are faults.
func (a *Application) afterRedo(ctx context.Context, r redo, k ports.LetterKey, refused plan.Refusal) error {
	u := ports.LetterUpdate{If: deadletter.Pending, Status: deadletter.ManuallyResolved, Notes: r.why, ResolvedBy: r.by}
	switch {
	case !refused.Refused():
		return nil
	case r.failed != 0 && (refused.Code == plan.NoFailure || refused.Code == plan.Finished || refused.Code == plan.NotStarted):
	case r.failed == 0 && refused.Code == plan.Finished && refused.State == task.Error:
		u.Status = deadletter.PermanentlyFailed
	default:
		return refusal(refused, k.Task, "resumed")
	}
	if len(r.steps) > 0 { // what was asked of them cannot be
		return refusal(refused, k.Task, "resumed")
	}
	_, err := a.Letters.Update(ctx, k.ID, u)
	return err
}
