package grpc

import (
	"context"

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
	r, err := createRequest("", in)
	if err != nil {
		return nil, err
	}
	t, err := d.service.CreateTask(ctx, r)
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

// createRequest reads what a task is to be; prefix stands before the names of
// fields.
func createRequest(prefix string, in *taskerv1.CreateTaskRequest) (app.CreateRequest, error) {
	doc, err := document(prefix+"context", in.GetContext())
	if err != nil {
		return app.CreateRequest{}, err
	}
	r := app.CreateRequest{
		Name: in.GetName(), Namespace: in.GetNamespace(), Version: in.GetVersion(), Context: doc,
		Initiator: in.GetInitiator(), SourceSystem: in.GetSourceSystem(), Reason: in.GetReason(), Tags: in.GetTags(),
		Priority: in.GetPriority(), CorrelationID: in.GetCorrelationId(), ParentCorrelationID: in.GetParentCorrelationId(),
		IdempotencyKey: in.GetIdempotencyKey(), Delay: app.Seconds(in.GetDelaySeconds()), OnDuplicate: in.GetOnDuplicate(),
	}
	if r.Initiator == "" {
		r.Initiator = defaultInitiator
	}
	if err := timeOf(prefix+"start_at", in.GetStartAt(), &r.StartAt); err != nil {
		return r, err
	}
	return r, timeOf(prefix+"deadline", in.GetDeadline(), &r.Deadline)
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
