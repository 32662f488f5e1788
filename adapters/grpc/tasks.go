package grpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
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

// ListTasks implements taskerv1.TaskServiceServer.
func (d *tasks) ListTasks(ctx context.Context, in *taskerv1.ListTasksRequest) (*taskerv1.ListTasksResponse, error) {
	f, err := filter(in)
	if err != nil {
		return nil, err
	}
	const defaultLimit = 50
	p := ports.TaskPage{Limit: defaultLimit, Skip: int(in.GetPagination().GetOffset()), Total: true}
	if in.GetPagination() != nil && in.GetPagination().Limit != nil {
		p.Limit = int(in.GetPagination().GetLimit())
	}
	if p.Limit < 1 || p.Limit > app.MaxPage {
		return nil, fault.In("pagination.limit", fault.CodeInvalidField, "pagination.limit is %d, want 1 to %d", p.Limit, app.MaxPage)
	}
	if p.Skip < 0 {
		return nil, fault.In("pagination.offset", fault.CodeInvalidField, "pagination.offset is %d, want 0 or more", p.Skip)
	}
	page, err := d.service.ListTasks(ctx, f, p)
	if err != nil {
		return nil, err
	}
	out := &taskerv1.ListTasksResponse{Tasks: make([]*taskerv1.Task, len(page.Tasks)), Pagination: &taskerv1.PaginationResponse{
		Total: page.Total, Count: int32(len(page.Tasks)), Offset: in.GetPagination().GetOffset(), HasMore: !page.Next.IsZero(), //nolint:gosec // G115: at most MaxPage
	}}
	for i := range page.Tasks {
		out.Tasks[i] = toTask(&page.Tasks[i])
	}
	return out, nil
}

func filter(in *taskerv1.ListTasksRequest) (ports.TaskFilter, error) {
	f := ports.TaskFilter{
		Namespace: in.GetNamespace(), Name: in.GetName(), Initiator: in.GetInitiator(), Tags: in.GetTags(),
	}
	for i, s := range in.GetStates() {
		state, known := fromTaskState(s)
		if !known {
			return f, fault.In(fmt.Sprintf("states[%d]", i), fault.CodeInvalidState, "states[%d] is %d, which is not the state of a task", i, int32(s))
		}
		f.States = append(f.States, state)
	}
	if err := spanOf("created_at", in.GetCreatedAt(), &f.From, &f.Until); err != nil {
		return f, err
	}
	return f, checkSort(in.GetSort())
}

// checkSort refuses every order but the one that there is.
func checkSort(s *taskerv1.SortSpec) error {
	if f := s.GetField(); f != "" && f != "created_at" {
		return fault.In("sort.field", fault.CodeInvalidField, "tasks are listed by created_at and by nothing else")
	}
	switch s.GetDirection() {
	case taskerv1.SortDirection_SORT_DIRECTION_UNSPECIFIED, taskerv1.SortDirection_SORT_DIRECTION_DESC:
		return nil
	default:
		return fault.In("sort.direction", fault.CodeInvalidField, "tasks are listed newest first, SORT_DIRECTION_DESC, and in no other order")
	}
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
