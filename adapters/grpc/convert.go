package grpc

import (
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// The enumerations of the contract number the states in the order of the
// domain's; a test walks them.
func taskState(s task.State) taskerv1.TaskState { return taskerv1.TaskState(s) }
func stepState(s step.State) taskerv1.StepState { return taskerv1.StepState(s) }

func fromTaskState(s taskerv1.TaskState) (task.State, bool) {
	if _, known := taskerv1.TaskState_name[int32(s)]; !known || s == taskerv1.TaskState_TASK_STATE_UNSPECIFIED {
		return 0, false
	}
	return task.State(s), true //nolint:gosec // G115: one of twelve
}

func taskID(text string) (ident.TaskID, error) {
	id, err := ident.ParseTask(text)
	if err != nil {
		return id, fault.In("task_uuid", fault.CodeInvalidUUID, "task_uuid is %s", err)
	}
	return id, nil
}

func stepID(text string) (ident.StepID, error) {
	id, err := ident.ParseStep(text)
	if err != nil {
		return id, fault.In("step_uuid", fault.CodeInvalidUUID, "step_uuid is %s", err)
	}
	return id, nil
}

func instant(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// timeOf reads a time that may be absent.
func timeOf(field string, t *timestamppb.Timestamp, into *time.Time) error {
	if t == nil {
		return nil
	}
	if !t.IsValid() {
		return fault.In(field, fault.CodeInvalidField, "%s is not a valid time", field)
	}
	*into = t.AsTime()
	return nil
}

// spanOf reads a span of time that may be absent, or open.
func spanOf(field string, span *taskerv1.TimestampRange, from, until *time.Time) error {
	if err := timeOf(field+".start", span.GetStart(), from); err != nil {
		return err
	}
	return timeOf(field+".end", span.GetEnd(), until)
}

func toTask(t *app.Task) *taskerv1.Task { return toTaskWith(t, object(t.Context)) }

// toTaskWith is for those who have the context as a message already.
func toTaskWith(t *app.Task, given *structpb.Struct) *taskerv1.Task {
	out := &taskerv1.Task{
		TaskUuid: t.ID.String(), Name: t.Name, Namespace: t.Namespace, Version: t.Version,
		State: taskState(t.TaskRecord.State), CreatedAt: instant(t.CreatedAt), UpdatedAt: instant(t.UpdatedAt),
		CompletedAt: instant(t.CompletedAt), Context: given, Initiator: t.Initiator,
		SourceSystem: t.SourceSystem, Reason: t.Reason, Priority: &t.Priority, Tags: t.Tags,
		CorrelationId: t.CorrelationID.String(),
		TotalSteps:    int64(t.Counts.Total), PendingSteps: int64(t.Pending), InProgressSteps: int64(t.InProgress),
		CompletedSteps: int64(t.Completed), FailedSteps: int64(t.Counts.Failed), ReadySteps: int64(t.Ready),
		ExecutionStatus: t.Execution, RecommendedAction: t.Action, HealthStatus: t.Health,
		CompletionPercentage: t.Percentage(), StartAt: instant(t.StartAt), Deadline: instant(t.Deadline),
	}
	if t.ParentCorrelationID.Valid {
		parent := t.ParentCorrelationID.UUID.String()
		out.ParentCorrelationId = &parent
	}
	return out
}

func toStep(s *app.Step) *taskerv1.Step {
	r := &s.StepRecord
	return &taskerv1.Step{
		StepUuid: r.Ref.ID().String(), TaskUuid: r.Ref.Task.String(), Name: r.Name, State: stepState(r.State),
		CreatedAt: instant(r.CreatedAt), UpdatedAt: instant(r.UpdatedAt), CompletedAt: instant(r.CompletedAt),
		Results: object(s.Result), DependenciesSatisfied: s.DependenciesSatisfied(), RetryEligible: s.RetryEligible(),
		ReadyForExecution: s.Ready, TotalParents: s.Step.Parents, CompletedParents: s.CompletedParents(),
		Attempts: r.Attempts, MaxAttempts: r.MaxAttempts, LastFailureAt: instant(r.LastFailureAt),
		NextRetryAt: instant(r.NextRetryAt), LastAttemptedAt: instant(r.LastAttemptedAt),
	}
}

func toSteps(steps []app.Step) []*taskerv1.Step {
	out := make([]*taskerv1.Step, len(steps))
	for i := range steps {
		out[i] = toStep(&steps[i])
	}
	return out
}
