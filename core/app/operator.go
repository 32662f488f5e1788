package app

import (
	"context"
	"encoding/json"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// checkWho checks what people say of themselves and of their reasons.
func checkWho(by, why string) error {
	for _, f := range []struct {
		field, value string
		longest      int
	}{{"by", by, maxWho}, {"reason", why, maxReason}} {
		if err := jsondoc.CheckText(f.field, f.value, f.longest); err != nil {
			return err
		}
	}
	return nil
}

// CancelTask ends a task: every open step is cancelled, and what runs is told to
// stop. Faults: task_not_found, task_finished.
func (a *Application) CancelTask(ctx context.Context, id ident.TaskID, by, why string) (Task, error) {
	return a.end(ctx, plan.Ending{Task: id, End: plan.CancelTask, By: by, Why: why}, "cancelled")
}

// GiveUpTask ends a task that is blocked by failures, in error. Faults:
// task_not_found, task_finished, task_not_blocked.
func (a *Application) GiveUpTask(ctx context.Context, id ident.TaskID, by, why string) (Task, error) {
	return a.end(ctx, plan.Ending{Task: id, End: plan.GiveUpTask, By: by, Why: why}, "given up")
}

// ResolveTask ends a task as resolved by hand, with all its open steps. Faults:
// task_not_found, task_finished.
func (a *Application) ResolveTask(ctx context.Context, id ident.TaskID, by, why string) (Task, error) {
	return a.end(ctx, plan.Ending{Task: id, End: plan.ResolveTask, By: by, Why: why}, "resolved")
}

func (a *Application) end(ctx context.Context, e plan.Ending, done string) (Task, error) {
	noteChange(ctx, targetTask, e.Task.String(), e.Why)
	if err := checkWho(e.By, e.Why); err != nil {
		return Task{}, err
	}
	if err := a.reach(ctx, e.Task); err != nil {
		return Task{}, err
	}
	refused, err := a.Finalizer.Ask(ctx, e)
	if err == nil {
		err = refusal(refused, e.Task, done)
	}
	if err != nil {
		return Task{}, err
	}
	return a.GetTask(ctx, e.Task)
}

// RetryTask runs all failed steps of a task again, their attempts counted anew;
// a task that has ended in error is revived by it. Faults: task_not_found,
// task_finished, no_failed_steps, task_not_started.
func (a *Application) RetryTask(ctx context.Context, id ident.TaskID, by, why string) (Task, error) {
	noteChange(ctx, targetTask, id.String(), why)
	if err := a.order(ctx, id, by, why, plan.Order{Failed: plan.ResetForRetry}); err != nil {
		return Task{}, err
	}
	return a.GetTask(ctx, id)
}

func (a *Application) order(ctx context.Context, id ident.TaskID, by, why string, o plan.Order) error {
	if err := checkWho(by, why); err != nil {
		return err
	}
	if err := a.reach(ctx, id); err != nil {
		return err
	}
	w := plan.Wake{Ref: ident.StepRef{Task: id}, Cause: plan.Ordered, By: by, Why: why, Order: &o}
	if !o.Whole() && len(o.Steps) > 0 {
		w.Ref.No = o.Steps[0].No
	}
	refused, err := a.Enqueuer.Ask(ctx, w)
	if err != nil {
		return err
	}
	return refusal(refused, id, "changed")
}

// refusal is a refusal of the planner as a fault.
func refusal(r plan.Refusal, id ident.TaskID, done string) error {
	var f *fault.Error
	switch r.Code {
	case 0:
		return nil
	case plan.Unknown:
		if r.State != 0 {
			return fault.New(fault.CodeStepNotFound, "task %s has no such step", id)
		}
		return TaskNotFound(id)
	case plan.Finished:
		f = fault.New(fault.CodeTaskFinished, "the task is %s already and cannot be %s", r.State, done)
	case plan.NotBlocked:
		f = fault.New(fault.CodeTaskNotBlocked, "the task is %s; only one that is blocked_by_failures can be given up: cancel it instead", r.State)
	case plan.NotStarted:
		f = fault.New(fault.CodeTaskNotStarted, "the task has not started; its steps can be acted on from then on, or cancel or resolve the task as a whole")
	case plan.InError:
		f = fault.New(fault.CodeTaskFinished, "the task has ended in error; retry or resolve it as a whole, and not a single step of it")
	case plan.NoFailure:
		f = fault.New(fault.CodeNoFailedSteps, "the task is %s and no step of it is in error", r.State)
	case plan.Illegal:
		f = fault.New(fault.CodeIllegalTransition, "%s", r.Detail)
	case plan.NotOpen:
		f = fault.New(fault.CodeDeadLetterClosed, "the dead letter is not open any more: it was resumed or resolved meanwhile")
	default:
		f = fault.New(fault.CodeIllegalTransition, "the task is %s, and what was asked for does not apply to it", r.State)
	}
	if r.State != 0 {
		f = f.With("state", r.State.String())
	}
	return f
}

// StepAction is what a person does to a step.
type StepAction struct {
	Task     ident.TaskID
	Step     ident.StepID
	Action   plan.Action
	By, Why  string
	Value    json.RawMessage // for plan.CompleteManually: the result; null when empty
	Metadata json.RawMessage // for plan.CompleteManually: noted with the reason; nil for none
	Inputs   json.RawMessage // for plan.ResetForRetry: an object that the handler gets instead of its initialization; nil for as it is
}

// ResolveStep acts on a step and returns it; its task moves on by itself.
// Faults: task_not_found, step_not_found, step_of_another_task, task_finished,
// task_not_started, illegal_transition, invalid_field, payload_too_large.
func (a *Application) ResolveStep(ctx context.Context, s StepAction) (Step, error) {
	noteChange(ctx, targetStep, s.Step.String(), s.Why)
	ref := ident.Ref(s.Step)
	if ref.Task != s.Task {
		return Step{}, fault.In("step_uuid", fault.CodeStepElsewhere, "step %s is not of task %s", s.Step, s.Task)
	}
	o := plan.StepOrder{No: ref.No, Action: s.Action}
	switch s.Action {
	case plan.CompleteManually:
		if o.Value = s.Value; len(o.Value) == 0 {
			o.Value = json.RawMessage("null")
		}
		if err := jsondoc.Check("result", o.Value, a.Limits.Result); err != nil {
			return Step{}, err
		}
	case plan.ResetForRetry:
		if err := a.checkInputs("inputs", s.Inputs); err != nil {
			return Step{}, err
		}
		o.Inputs = s.Inputs
	case plan.ResolveManually:
	}
	if err := a.order(ctx, s.Task, s.By, s.Why, plan.Order{Steps: []plan.StepOrder{o}}); err != nil {
		return Step{}, err
	}
	return a.GetStep(ctx, s.Task, s.Step)
}

// checkInputs checks what a handler is to get instead of its initialization.
func (a *Application) checkInputs(field string, inputs json.RawMessage) error {
	if inputs == nil {
		return nil
	}
	if err := jsondoc.Check(field, inputs, a.Limits.Context); err != nil {
		return err
	}
	if first(inputs) != '{' {
		return fault.In(field, fault.CodeInvalidField, "%s must be an object", field)
	}
	return nil
}

// Pause holds back a task, a version of a template, or a namespace; by and why
// are kept. What is paused already stays as it is. Faults: task_not_found,
// task_finished, template_not_found, invalid_field.
func (a *Application) Pause(ctx context.Context, p ports.Pause) (ports.Pause, error) {
	notePause(ctx, p)
	if err := checkWho(p.By, p.Why); err != nil {
		return ports.Pause{}, err
	}
	if err := checkPause(p); err != nil {
		return ports.Pause{}, err
	}
	if err := a.reachPause(ctx, p); err != nil {
		return ports.Pause{}, err
	}
	if p.Kind == ports.PauseTemplate {
		if _, err := a.Catalog.Newest(ctx, p.Name); err != nil {
			return ports.Pause{}, err
		}
	}
	return a.Pauses.Pause(ctx, p)
}

// Unpause lets go again what Pause held back. It reports whether there was a
// pause.
func (a *Application) Unpause(ctx context.Context, p ports.Pause) (bool, error) {
	notePause(ctx, p)
	if err := checkPause(p); err != nil {
		return false, err
	}
	if err := a.reachPause(ctx, p); err != nil {
		return false, err
	}
	return a.Pauses.Unpause(ctx, p)
}

func checkPause(p ports.Pause) error {
	for field, value := range map[string]string{"namespace": p.Name.Namespace, "name": p.Name.Name, "version": p.Name.Version} {
		if err := jsondoc.CheckText(field, value, maxName); err != nil {
			return err
		}
	}
	if p.Kind != ports.PauseTask && p.Name.Namespace == "" {
		return fault.In("namespace", fault.CodeInvalidField, "namespace is missing or empty")
	}
	return nil
}

// ListPauses returns the newest pauses.
func (a *Application) ListPauses(ctx context.Context, limit int) ([]ports.Pause, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	if !PrincipalOf(ctx).Scoped() {
		return a.Pauses.ListPauses(ctx, limit)
	}
	return a.visiblePauses(ctx, limit)
}

// maxRows is the longest list that is no page of tasks.
const maxRows = 1000

func checkLimit(limit int) error {
	if limit < 1 || limit > maxRows {
		return fault.In("limit", fault.CodeInvalidField, "limit is %d, want 1 to %d", limit, maxRows)
	}
	return nil
}

// PurgeTask forgets a finished task: its steps, its history, its dead letters
// and its identity. Faults: task_not_found, task_not_finished.
func (a *Application) PurgeTask(ctx context.Context, id ident.TaskID) error {
	noteChange(ctx, targetTask, id.String(), "")
	if err := a.reach(ctx, id); err != nil {
		return err
	}
	return a.Purger.Purge(ctx, id)
}

// DisableTemplate refuses new tasks of a version. Those that exist go on.
func (a *Application) DisableTemplate(ctx context.Context, name task.Name, by, why string) error {
	noteTemplate(ctx, name, why)
	if err := checkWho(by, why); err != nil {
		return err
	}
	if err := reachTemplate(ctx, name); err != nil {
		return err
	}
	return a.Catalog.Disable(ctx, name, by, why)
}

// EnableTemplate takes new tasks of a version again.
func (a *Application) EnableTemplate(ctx context.Context, name task.Name) error {
	noteTemplate(ctx, name, "")
	if err := reachTemplate(ctx, name); err != nil {
		return err
	}
	return a.Catalog.Enable(ctx, name)
}
