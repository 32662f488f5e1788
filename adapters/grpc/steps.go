package grpc

import (
	"context"

	"google.golang.org/protobuf/types/known/structpb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
)

type steps struct {
	taskerv1.UnimplementedStepServiceServer
	service Service
}

// GetStep implements taskerv1.StepServiceServer.
func (d *steps) GetStep(ctx context.Context, in *taskerv1.GetStepRequest) (*taskerv1.GetStepResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	sid, err := stepID(in.GetStepUuid())
	if err != nil {
		return nil, err
	}
	s, err := d.service.GetStep(ctx, id, sid)
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetStepResponse{Step: toStep(&s)}, nil
}

// ListSteps implements taskerv1.StepServiceServer.
func (d *steps) ListSteps(ctx context.Context, in *taskerv1.ListStepsRequest) (*taskerv1.ListStepsResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	all, err := d.service.ListSteps(ctx, id)
	if err != nil {
		return nil, err
	}
	n := int32(len(all)) //nolint:gosec // G115: at most MaxSteps
	return &taskerv1.ListStepsResponse{
		Steps: toSteps(all), Pagination: &taskerv1.PaginationResponse{Total: int64(n), Count: n},
	}, nil
}

var stepActions = map[taskerv1.StepManualActionType]plan.Action{
	taskerv1.StepManualActionType_STEP_MANUAL_ACTION_TYPE_RESET_FOR_RETRY:   plan.ResetForRetry,
	taskerv1.StepManualActionType_STEP_MANUAL_ACTION_TYPE_RESOLVE_MANUALLY:  plan.ResolveManually,
	taskerv1.StepManualActionType_STEP_MANUAL_ACTION_TYPE_COMPLETE_MANUALLY: plan.CompleteManually,
}

// ResolveStep implements taskerv1.StepServiceServer.
func (d *steps) ResolveStep(ctx context.Context, in *taskerv1.ResolveStepRequest) (*taskerv1.ResolveStepResponse, error) {
	act, err := stepAction(in)
	if err != nil {
		return nil, err
	}
	act.By = actor(ctx, act.By)
	s, err := d.service.ResolveStep(ctx, act)
	if err != nil {
		return nil, err
	}
	return &taskerv1.ResolveStepResponse{Step: toStep(&s)}, nil
}

func stepAction(in *taskerv1.ResolveStepRequest) (act app.StepAction, err error) {
	if act.Task, err = taskID(in.GetTaskUuid()); err != nil {
		return act, err
	}
	if act.Step, err = stepID(in.GetStepUuid()); err != nil {
		return act, err
	}
	act.By, act.Why = in.GetPerformedBy(), in.GetReason()
	var known bool
	if act.Action, known = stepActions[in.GetActionType()]; !known {
		return act, fault.In("action_type", fault.CodeInvalidField, "action_type is %d, want one of STEP_MANUAL_ACTION_TYPE", in.GetActionType())
	}
	switch {
	case act.Action != plan.ResetForRetry && in.GetInputs() != nil:
		return act, fault.In("inputs", fault.CodeInvalidField, "inputs go with STEP_MANUAL_ACTION_TYPE_RESET_FOR_RETRY alone")
	case act.Action == plan.CompleteManually && in.GetResult() == nil:
		return act, fault.In("result", fault.CodeInvalidField, "result is missing; to complete a step needs one")
	case act.Action == plan.CompleteManually && wholeCompletion(in):
		fields := in.GetResult().GetFields()
		if act.Value, err = value("result.result", fields["result"]); err == nil && !isNull(fields["metadata"]) {
			act.Metadata, err = value("result.metadata", fields["metadata"])
		}
	case act.Action == plan.CompleteManually:
		if act.Value, err = document("result", in.GetResult()); err == nil {
			act.Metadata, err = document("metadata", in.GetMetadata())
		}
	case act.Action == plan.ResetForRetry:
		act.Inputs, err = document("inputs", in.GetInputs())
	}
	return act, err
}

// wholeCompletion reports whether result holds all of the completion, as clients
// of the original send it: result and metadata, nothing else, and no metadata
// beside it.
func wholeCompletion(in *taskerv1.ResolveStepRequest) bool {
	fields := in.GetResult().GetFields()
	return in.GetMetadata() == nil && len(fields) == 2 && fields["result"] != nil && fields["metadata"] != nil
}

func isNull(v *structpb.Value) bool {
	_, null := v.GetKind().(*structpb.Value_NullValue)
	return null
}

// GetStepAudit implements taskerv1.StepServiceServer.
func (d *steps) GetStepAudit(ctx context.Context, in *taskerv1.GetStepAuditRequest) (*taskerv1.GetStepAuditResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	sid, err := stepID(in.GetStepUuid())
	if err != nil {
		return nil, err
	}
	rows, err := d.service.StepAudit(ctx, id, sid)
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetStepAuditResponse{AuditRecords: each(rows, toAudit)}, nil
}

func toAudit(r *app.AuditRow) *taskerv1.StepAuditRecord {
	from := stepState(r.From)
	out := &taskerv1.StepAuditRecord{
		AuditUuid: r.ID, StepUuid: r.Ref.ID().String(), TransitionUuid: r.Transition, TaskUuid: r.Ref.Task.String(),
		RecordedAt: instant(r.At), Success: r.Success, Result: object(r.Result), StepName: r.Name, FromState: &from,
		ToState: stepState(r.To), Path: each(r.Path, func(s *step.State) taskerv1.StepState { return stepState(*s) }),
		Attempt: r.Attempt, Dispatch: r.Dispatch, By: given(r.By), Reason: given(r.Why), Error: object(r.Failure), Server: r.Server,
	}
	if r.ElapsedMS != nil {
		elapsed := int64(*r.ElapsedMS)
		out.ExecutionTimeMs = &elapsed
	}
	return out
}
