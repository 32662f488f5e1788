package grpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
)

type tasks struct {
	taskerv1.UnimplementedTaskServiceServer
	service Service
}

// defaultInitiator is who asks for a task over gRPC, unless the request says.
const defaultInitiator = "grpc"

// CreateTask implements taskerv1.TaskServiceServer.
func (d *tasks) CreateTask(ctx context.Context, in *taskerv1.CreateTaskRequest) (*taskerv1.CreateTaskResponse, error) {
	doc, err := document("context", in.GetContext())
	if err != nil {
		return nil, err
	}
	initiator := in.GetInitiator()
	if initiator == "" {
		initiator = defaultInitiator
	}
	var startAt, deadline time.Time
	if err := timeOf("start_at", in.GetStartAt(), &startAt); err != nil {
		return nil, err
	}
	if err := timeOf("deadline", in.GetDeadline(), &deadline); err != nil {
		return nil, err
	}
	t, err := d.service.CreateTask(ctx, app.CreateRequest{
		Name: in.GetName(), Namespace: in.GetNamespace(), Version: in.GetVersion(), Context: doc,
		Initiator: initiator, SourceSystem: in.GetSourceSystem(), Reason: in.GetReason(), Tags: in.GetTags(),
		Priority: in.GetPriority(), CorrelationID: in.GetCorrelationId(), ParentCorrelationID: in.GetParentCorrelationId(),
		IdempotencyKey: in.GetIdempotencyKey(), StartAt: startAt, Delay: app.Seconds(in.GetDelaySeconds()), Deadline: deadline, OnDuplicate: in.GetOnDuplicate(),
	})
	if err != nil {
		return nil, err
	}
	if t.Existed {
		return &taskerv1.CreateTaskResponse{Task: toTask(&t), Existed: true}, nil
	}
	given := in.GetContext() // what the task has, read already
	if given == nil {
		given = &structpb.Struct{}
	}
	return &taskerv1.CreateTaskResponse{Task: toTaskWith(&t, given)}, nil
}

// GetTask implements taskerv1.TaskServiceServer.
func (d *tasks) GetTask(ctx context.Context, in *taskerv1.GetTaskRequest) (*taskerv1.GetTaskResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	t, err := d.service.GetTask(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &taskerv1.GetTaskResponse{Task: toTask(&t)}
	if in.GetIncludeSteps() {
		out.Steps = toSteps(t.Steps)
	}
	if in.GetIncludeContext() {
		out.Context = toContext(out.Task.GetContext())
	}
	return out, nil
}

// CancelTask implements taskerv1.TaskServiceServer. A task that has ended is no
// error in the contract.
func (d *tasks) CancelTask(ctx context.Context, in *taskerv1.CancelTaskRequest) (*taskerv1.CancelTaskResponse, error) {
	id, err := taskID(in.GetTaskUuid())
	if err != nil {
		return nil, err
	}
	t, err := d.service.CancelTask(ctx, id, app.PrincipalOf(ctx).Subject, in.GetReason())
	if fault.Is(err, fault.CodeTaskFinished) {
		why := fault.Of(err).Message
		return &taskerv1.CancelTaskResponse{Message: &why}, nil
	}
	if err != nil {
		return nil, err
	}
	return &taskerv1.CancelTaskResponse{Task: toTask(&t), Success: true}, nil
}

// toContext returns what the task was given; what its steps returned is theirs.
func toContext(given *structpb.Struct) *taskerv1.TaskContext {
	return &taskerv1.TaskContext{Inputs: given, Outputs: &structpb.Struct{}, Merged: given}
}
