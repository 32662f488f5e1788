package grpc

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

type batches struct {
	taskerv1.UnimplementedBatchServiceServer
	service Service
}

// CreateTasks implements taskerv1.BatchServiceServer.
func (d *batches) CreateTasks(ctx context.Context, in *taskerv1.CreateTasksRequest) (*taskerv1.CreateTasksResponse, error) {
	var together bool
	switch in.GetMode() {
	case taskerv1.CreateTasksRequest_MODE_UNSPECIFIED, taskerv1.CreateTasksRequest_MODE_EACH:
	case taskerv1.CreateTasksRequest_MODE_ALL_OR_NOTHING:
		together = true
	default:
		return nil, fault.In("mode", fault.CodeInvalidField, "mode is neither MODE_ALL_OR_NOTHING nor MODE_EACH")
	}
	all := make([]app.CreateRequest, len(in.GetTasks()))
	for i, t := range in.GetTasks() {
		var err error
		if all[i], err = createRequest(fmt.Sprintf("tasks[%d].", i), t); err != nil {
			return nil, err
		}
	}
	items, err := d.service.CreateTasks(ctx, all, together)
	if err != nil {
		return nil, err
	}
	out := &taskerv1.CreateTasksResponse{Items: make([]*taskerv1.CreateTasksItem, len(items))}
	for i := range items {
		item := &items[i]
		one := &taskerv1.CreateTasksItem{Status: item.Status(), State: taskState(item.State)}
		if !item.ID.IsZero() {
			one.TaskUuid = item.ID.String()
		}
		switch {
		case item.Refused != nil:
			out.Refused++
			one.Code, one.Message, one.Field = string(item.Refused.Code), item.Refused.Message, item.Refused.Field
			if id := item.Refused.Meta["task_uuid"]; id != "" {
				one.TaskUuid = id
			}
		case item.Existed:
			out.Existing++
		default:
			out.Created++
		}
		out.Items[i] = one
	}
	return out, nil
}

// CancelTasks implements taskerv1.BatchServiceServer.
func (d *batches) CancelTasks(ctx context.Context, in *taskerv1.BulkRequest) (*taskerv1.BulkResponse, error) {
	return bulk(ctx, in, d.service.CancelTasks)
}

// RetryTasks implements taskerv1.BatchServiceServer.
func (d *batches) RetryTasks(ctx context.Context, in *taskerv1.BulkRequest) (*taskerv1.BulkResponse, error) {
	return bulk(ctx, in, d.service.RetryTasks)
}

func bulk(
	ctx context.Context, in *taskerv1.BulkRequest, do func(context.Context, app.BulkRequest) (ports.BulkOperation, error),
) (*taskerv1.BulkResponse, error) {
	f, err := filter(in.GetFilter())
	if err != nil {
		return nil, err
	}
	return bulkResponse(do(ctx, app.BulkRequest{
		Filter: f, By: actor(ctx, in.GetBy()), Why: in.GetReason(), DryRun: in.GetDryRun(), Limit: int(in.GetLimit()), Rate: in.GetRate(),
	}))
}

// ListBulkOperations implements taskerv1.BatchServiceServer.
func (d *batches) ListBulkOperations(
	ctx context.Context, in *taskerv1.ListBulkOperationsRequest,
) (*taskerv1.ListBulkOperationsResponse, error) {
	all, err := d.service.ListBulkOperations(ctx, limitOf(in.Limit, defaultRows)) //nolint:protogetter // absent is not 0
	if err != nil {
		return nil, err
	}
	return &taskerv1.ListBulkOperationsResponse{Operations: each(all, toBulk)}, nil
}

// GetBulkOperation implements taskerv1.BatchServiceServer.
func (d *batches) GetBulkOperation(ctx context.Context, in *taskerv1.GetBulkOperationRequest) (*taskerv1.BulkResponse, error) {
	return bulkResponse(d.service.GetBulkOperation(ctx, in.GetOperationUuid()))
}

// CancelBulkOperation implements taskerv1.BatchServiceServer.
func (d *batches) CancelBulkOperation(ctx context.Context, in *taskerv1.CancelBulkOperationRequest) (*taskerv1.BulkResponse, error) {
	return bulkResponse(d.service.CancelBulkOperation(ctx, in.GetOperationUuid(), actor(ctx, in.GetBy()), in.GetReason()))
}

func bulkResponse(b ports.BulkOperation, err error) (*taskerv1.BulkResponse, error) {
	if err != nil {
		return nil, err
	}
	return &taskerv1.BulkResponse{Operation: toBulk(&b)}, nil
}

func toBulk(b *ports.BulkOperation) *taskerv1.BulkOperation {
	out := &taskerv1.BulkOperation{
		Action: b.Action, State: string(b.State), Request: object(b.Request), By: b.By, Reason: b.Reason,
		Matched: int32(b.Matched), MatchedIsEstimate: b.AtLeast, Done: int32(b.Done), Refused: int32(b.Refused), //nolint:gosec // G115: counts of tasks
		Message: b.Message, CreatedAt: instant(b.CreatedAt), UpdatedAt: instant(b.UpdatedAt),
	}
	if b.ID != uuid.Nil {
		out.OperationUuid = b.ID.String()
	}
	return out
}
