package grpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/template"
)

// GetTaskSummary implements taskerv1.TaskServiceServer.
func (d *tasks) GetTaskSummary(ctx context.Context, in *taskerv1.GetTaskSummaryRequest) (*taskerv1.GetTaskSummaryResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	s, err := d.service.GetTaskSummary(ctx, id)
	if err != nil {
		return nil, err
	}
	return toSummary(&s), nil
}

func toSummary(s *app.Summary) *taskerv1.GetTaskSummaryResponse {
	t := &s.Task
	id := t.ID.String()
	out := &taskerv1.GetTaskSummaryResponse{
		Task: &taskerv1.TaskSummaryMetadata{
			TaskUuid: id, Name: t.Name, Namespace: t.Namespace, Version: t.Version, Status: t.TaskRecord.State.String(),
			CreatedAt: stamp(t.CreatedAt), UpdatedAt: stamp(t.UpdatedAt), CompletedAt: stamped(t.CompletedAt),
			Initiator: t.Initiator, SourceSystem: t.SourceSystem, Reason: t.Reason, CorrelationId: t.CorrelationID.String(),
			TotalSteps: int64(t.Counts.Total), PendingSteps: int64(t.Pending), InProgressSteps: int64(t.InProgress),
			CompletedSteps: int64(t.Completed), FailedSteps: int64(t.Counts.Failed), CompletionPercentage: t.Percentage(),
			HealthStatus: t.Health, ExecutionStatus: t.Execution, RecommendedAction: given(t.Action),
		},
		Template: &taskerv1.TaskSummaryTemplate{},
		Steps:    each(t.Steps, toStepSummary),
		Dlq:      &taskerv1.DlqSummaryInfo{},
		Links:    &taskerv1.TaskSummaryLinks{Task: "/v1/tasks/" + id, Steps: "/v1/tasks/" + id + "/workflow_steps", Dlq: "/v1/dlq"},
	}
	if s.Template != nil {
		out.Template.Steps = each(s.Template.Steps, toTemplateStep)
	}
	if l := s.Letter; l != nil {
		out.Dlq = &taskerv1.DlqSummaryInfo{
			InDlq: l.Status == deadletter.Pending, DlqReason: given(l.Reason.String()), ResolutionStatus: given(l.Status.String()),
		}
	}
	return out
}

func toTemplateStep(s *template.Step) *taskerv1.TaskSummaryTemplateStep {
	return &taskerv1.TaskSummaryTemplateStep{
		Name: s.Name, StepType: string(s.Type), Handler: s.Handler.Callable, Dependencies: s.Dependencies,
		Retryable: s.Retry.Retryable, MaxAttempts: count(s.Retry.MaxAttempts),
	}
}

func toStepSummary(s *app.Step) *taskerv1.StepSummaryInfo {
	out := &taskerv1.StepSummaryInfo{
		StepUuid: s.Ref.ID().String(), Name: s.Name, CurrentState: s.StepRecord.State.String(), CreatedAt: stamped(s.CreatedAt),
		CompletedAt: stamped(s.CompletedAt), LastAttemptedAt: stamped(s.LastAttemptedAt), Attempts: s.StepRecord.Attempts,
		MaxAttempts: s.StepRecord.MaxAttempts, DependenciesSatisfied: s.DependenciesSatisfied(), RetryEligible: s.RetryEligible(),
	}
	if f := s.LastFailure(); f != nil {
		out.Error = &taskerv1.StepErrorSummary{ErrorType: given(f.Type), Retryable: f.Retryable}
		if f.StatusCode > 0 {
			status := count(f.StatusCode)
			out.Error.StatusCode = &status
		}
	}
	return out
}

// stamped is a time as text, absent for the zero one.
func stamped(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := stamp(t)
	return &text
}

// GetTaskContext implements taskerv1.TaskServiceServer.
func (d *tasks) GetTaskContext(ctx context.Context, in *taskerv1.GetTaskContextRequest) (*taskerv1.GetTaskContextResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	c, err := d.service.GetTaskContext(ctx, id)
	if err != nil {
		return nil, err
	}
	inputs := object(c.Inputs)
	if inputs == nil {
		inputs = &structpb.Struct{}
	}
	outputs := &structpb.Struct{Fields: make(map[string]*structpb.Value, len(c.Outputs))}
	merged := &structpb.Struct{Fields: make(map[string]*structpb.Value, len(inputs.GetFields())+len(c.Outputs))}
	for name, v := range inputs.GetFields() {
		merged.Fields[name] = v
	}
	for name, raw := range c.Outputs {
		v, err := jsonValue(raw)
		if err != nil {
			return nil, err
		}
		outputs.Fields[name], merged.Fields[name] = v, v
	}
	return &taskerv1.GetTaskContextResponse{Context: &taskerv1.TaskContext{
		Inputs: inputs, Outputs: outputs, Merged: merged, OmittedOutputs: c.Omitted,
	}}, nil
}
