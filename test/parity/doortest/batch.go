package doortest

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// AwaitTask does not wait: it returns the task as it stands.
func (o *Operators) AwaitTask(ctx context.Context, id ident.TaskID, longest time.Duration, until []task.State) (app.Task, error) {
	if err := o.Record(ctx, app.GetTask, id, longest, until); err != nil {
		return app.Task{}, err
	}
	return o.Tasks.GetTask(ctx, id)
}

// Events are what followers of any task get.
var Events = []watch.Event{
	{At: Epoch, State: task.StepsInProcess},
	{At: Epoch, No: 1, Name: "pay", Step: step.Enqueued, Dispatch: 1},
	{At: Epoch, No: 1, Name: "pay", Step: step.InProgress, Dispatch: 1, Attempt: 1},
	{At: Epoch, No: 1, Name: "pay", Step: step.Error, Dispatch: 1, Attempt: 1, Error: "no funds"},
	{At: Epoch, State: task.Error, Error: "no funds"},
}

// FollowTask gives out Events, in two parts. After the word end, nothing
// follows.
func (o *Operators) FollowTask(ctx context.Context, id ident.TaskID, after string) (app.TaskEvents, error) {
	if err := o.Record(ctx, app.WatchTask, id, after); err != nil {
		return nil, err
	}
	if _, err := o.Tasks.GetTask(ctx, id); err != nil {
		return nil, err
	}
	if after == "end" {
		return &events{}, nil
	}
	return &events{left: slices.Clone(Events)}, nil
}

type events struct{ left []watch.Event }

func (e *events) Next(context.Context) (some []watch.Event, ended bool, err error) {
	n := min(2, len(e.left))
	some, e.left = e.left[:n], e.left[n:]
	return some, len(e.left) == 0, nil
}

func (e *events) Standing(ctx context.Context) (some []watch.Event, ended bool, err error) {
	return e.Next(ctx)
}

func (e *events) Ended() bool { return len(e.left) == 0 }

func (*events) Close() {}

// CreateTasks creates the first task, finds the second to exist, and refuses the
// others.
func (o *Operators) CreateTasks(ctx context.Context, all []app.CreateRequest, together bool) ([]app.BatchItem, error) {
	if err := o.Record(ctx, app.CreateTasks, all, together); err != nil {
		return nil, err
	}
	items := make([]app.BatchItem, len(all))
	for i := range items {
		id := ident.NewTaskID(uuid.MustParse("0195f000-0000-7000-8000-000000000000"))
		switch i {
		case 0:
			items[i] = app.BatchItem{ID: id, State: task.StepsInProcess}
		case 1:
			items[i] = app.BatchItem{ID: id, Existed: true}
		default:
			items[i].Refused = fault.In("name", fault.CodeInvalidField, "name is missing or empty")
		}
	}
	return items, nil
}

// Operation is the only bulk operation.
var Operation = ports.BulkOperation{
	ID: uuid.MustParse("3f0e5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e"), Action: "cancel", Request: json.RawMessage(`{"filter":{}}`), By: "ann",
	State: ports.BulkRunning, Matched: 9, Done: 3, Refused: 1, CreatedAt: Epoch, UpdatedAt: Epoch,
}

func (o *Operators) bulk(ctx context.Context, op app.Operation, r app.BulkRequest) (ports.BulkOperation, error) {
	b := Operation
	if r.DryRun {
		b.ID, b.State = uuid.UUID{}, ""
	}
	return b, o.Record(ctx, op, r)
}

// CancelTasks returns the operation.
func (o *Operators) CancelTasks(ctx context.Context, r app.BulkRequest) (ports.BulkOperation, error) {
	return o.bulk(ctx, app.CancelTasks, r)
}

// RetryTasks returns the operation.
func (o *Operators) RetryTasks(ctx context.Context, r app.BulkRequest) (ports.BulkOperation, error) {
	return o.bulk(ctx, app.RetryTasks, r)
}

// ListBulkOperations returns the operation.
func (o *Operators) ListBulkOperations(ctx context.Context, limit int) ([]ports.BulkOperation, error) {
	return []ports.BulkOperation{Operation}, o.Record(ctx, app.ListBulkOperations, limit)
}

// GetBulkOperation finds the operation.
func (o *Operators) GetBulkOperation(ctx context.Context, id string) (ports.BulkOperation, error) {
	if err := o.Record(ctx, app.GetBulkOperation, id); err != nil {
		return ports.BulkOperation{}, err
	}
	return findOperation(id)
}

// CancelBulkOperation finds the operation.
func (o *Operators) CancelBulkOperation(ctx context.Context, id, by, why string) (ports.BulkOperation, error) {
	if err := o.Record(ctx, app.CancelBulkOperation, id, by, why); err != nil {
		return ports.BulkOperation{}, err
	}
	return findOperation(id)
}

func findOperation(id string) (ports.BulkOperation, error) {
	u, err := uuid.Parse(id)
	switch {
	case err != nil:
		return ports.BulkOperation{}, fault.In("operation_uuid", fault.CodeInvalidUUID, "operation_uuid is %s", ident.ErrMalformed)
	case u != Operation.ID:
		return ports.BulkOperation{}, fault.New(fault.CodeOperationNotFound, "there is no bulk operation %s", u)
	default:
		return Operation, nil
	}
}
