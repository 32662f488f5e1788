package grpc

import (
	"google.golang.org/grpc"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/readiness"
)

// stepsPerMessage keeps messages far below their limit.
const stepsPerMessage = 1000

// ExplainTask implements taskerv1.OperatorServiceServer.
func (d *operators) ExplainTask(in *taskerv1.ExplainTaskRequest, out grpc.ServerStreamingServer[taskerv1.ExplainTaskResponse]) error {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return err
	}
	e, err := d.service.ExplainTask(out.Context(), id)
	if err != nil {
		return err
	}
	x := explanations{task: id}
	part := &taskerv1.ExplainTaskResponse{Task: x.whole(&e)}
	for i := range e.Steps {
		if len(part.Steps) == stepsPerMessage {
			if err := out.Send(part); err != nil {
				return err
			}
			part = &taskerv1.ExplainTaskResponse{}
		}
		part.Steps = append(part.Steps, x.step(&e.Steps[i]))
	}
	return out.Send(part)
}

// explanations converts those of a task.
type explanations struct{ task ident.TaskID }

func (x explanations) stepID(no int32) string {
	return ident.StepRef{Task: x.task, No: no}.ID().String()
}

func (x explanations) whole(e *readiness.Explanation) *taskerv1.TaskExplanation {
	out := &taskerv1.TaskExplanation{
		TaskUuid: x.task.String(), Explanation: x.why(&e.Reason), CriticalPath: each(e.CriticalPath, x.named),
	}
	if l := e.Letter; l != nil {
		out.DeadLetter = &taskerv1.ExplanationDeadLetter{DlqEntryUuid: l.EntryID, Reason: l.Reason, Since: instant(l.Since)}
	}
	return out
}

func (x explanations) step(s *readiness.StepExplanation) *taskerv1.StepExplanation {
	out := &taskerv1.StepExplanation{
		StepUuid: x.stepID(s.No), Name: s.Name, State: stepState(s.State), Explanation: x.why(&s.Reason),
		WaitingFor: each(s.WaitingFor, x.named), Attempt: s.Attempt, MaxAttempts: s.MaxAttempts, RetryAt: instant(s.RetryAt),
		Pauses: each(s.Pauses, whyPaused), Handler: s.Handler, LastErrorType: given(s.LastErrorType), LastError: given(s.LastError),
	}
	if s.Lease != nil {
		out.LeaseHolder, out.LeaseUntil = given(s.Lease.Holder), instant(s.Lease.Until)
	}
	if s.Letter != nil {
		out.DeadLetteredAt = instant(s.Letter.Since)
	}
	return out
}

func (x explanations) named(n *readiness.Named) *taskerv1.ExplanationStep {
	return &taskerv1.ExplanationStep{StepUuid: x.stepID(n.No), Name: n.Name}
}

func (x explanations) why(r *readiness.Reason) *taskerv1.Explanation {
	return &taskerv1.Explanation{
		Code: string(r.Code), Sentence: r.Sentence, Unblock: r.Unblock,
		Also:    each(r.Also, func(c *readiness.Code) string { return string(*c) }),
		Actions: each(r.Actions, x.action), Instead: each(r.Instead, x.action),
	}
}

func (x explanations) action(a *readiness.Action) *taskerv1.ExplanationAction {
	out := &taskerv1.ExplanationAction{Kind: string(a.Kind), Handler: given(a.Handler), Until: instant(a.Until)}
	if a.Step != 0 {
		id := x.stepID(a.Step)
		out.StepUuid = &id
	}
	if a.Pause != nil {
		out.Pause = whyPaused(a.Pause)
	}
	return out
}

func whyPaused(p *readiness.Pause) *taskerv1.ExplanationPause {
	return &taskerv1.ExplanationPause{Kind: p.Kind, Subject: p.Subject, By: p.By, Reason: p.Reason, Since: instant(p.Since)}
}
