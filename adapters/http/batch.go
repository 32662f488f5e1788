package http

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// CreateTasksBody documents the body of a batch.
type CreateTasksBody struct {
	Tasks []CreateTaskBody `json:"tasks" minItems:"1" maxItems:"1000"`
	Mode  *string          `json:"mode,omitempty" nullable:"true" enum:"all_or_nothing,each" doc:"Whether one that cannot be created keeps the others from it: then all are one transaction, of at most 50000 steps. Default each."`
}

// CreateTasksResponse says what became of each task of a batch.
type CreateTasksResponse struct {
	Items    []CreateTasksItem `json:"items" nullable:"false" doc:"In the order of the request."`
	Created  int               `json:"created"`
	Existing int               `json:"existing"`
	Refused  int               `json:"refused"`
}

// CreateTasksItem is what became of one.
type CreateTasksItem struct {
	Status   string       `json:"status" enum:"created,existing,refused"`
	TaskUUID string       `json:"task_uuid,omitempty" format:"uuid" doc:"Of one that was refused since its identity exists: the task that has it."`
	State    string       `json:"state,omitempty" doc:"Of a task that was created."`
	Error    *RefusedItem `json:"error,omitempty" doc:"Why it was refused."`
}

// RefusedItem says why a task was refused.
type RefusedItem struct {
	Code   string        `json:"code" doc:"What is wrong, for machines." example:"template_not_found"`
	Detail string        `json:"detail" doc:"The same for people."`
	Errors []ProblemItem `json:"errors,omitempty" nullable:"false" doc:"Each input that is to blame."`
}

// BulkBody documents what is done to many tasks.
type BulkBody struct {
	Filter TaskFilterBody `json:"filter,omitempty" doc:"Which tasks, as in the list of tasks; all when not given."`
	DryRun bool           `json:"dry_run,omitempty" doc:"Count only, and change nothing."`
	Limit  int            `json:"limit,omitempty" doc:"How many at most, the oldest first; 0 for all."`
	Rate   float64        `json:"rate,omitempty" doc:"How many a second; 0 for as fast as it goes."`
	Reason *string        `json:"reason,omitempty" nullable:"true" maxLength:"500" doc:"Why; kept in the history."`
	By     *string        `json:"by,omitempty" nullable:"true" maxLength:"255" doc:"Who; whose credentials these are when not given."`
}

// TaskFilterBody documents which tasks are meant.
type TaskFilterBody struct {
	Namespace       *string  `json:"namespace,omitempty" nullable:"true"`
	Name            *string  `json:"name,omitempty" nullable:"true"`
	Version         *string  `json:"version,omitempty" nullable:"true"`
	Status          []string `json:"status,omitempty" nullable:"true" doc:"A word alone, too. Here pending is that state alone."`
	Initiator       *string  `json:"initiator,omitempty" nullable:"true"`
	SourceSystem    *string  `json:"source_system,omitempty" nullable:"true"`
	Tags            []string `json:"tags,omitempty" nullable:"true" doc:"A word alone, too."`
	CorrelationID   *string  `json:"correlation_id,omitempty" nullable:"true" format:"uuid"`
	Error           *string  `json:"error,omitempty" nullable:"true" maxLength:"500"`
	CreatedAfter    *string  `json:"created_after,omitempty" nullable:"true" format:"date-time"`
	CreatedBefore   *string  `json:"created_before,omitempty" nullable:"true" format:"date-time"`
	UpdatedAfter    *string  `json:"updated_after,omitempty" nullable:"true" format:"date-time"`
	UpdatedBefore   *string  `json:"updated_before,omitempty" nullable:"true" format:"date-time"`
	CompletedAfter  *string  `json:"completed_after,omitempty" nullable:"true" format:"date-time"`
	CompletedBefore *string  `json:"completed_before,omitempty" nullable:"true" format:"date-time"`
}

// BulkOperationResponse is what is done to many tasks, as far as it has come.
type BulkOperationResponse struct {
	OperationUUID     *string    `json:"operation_uuid" format:"uuid" doc:"Null for a dry run."`
	Action            string     `json:"action" enum:"cancel,retry"`
	State             string     `json:"state" doc:"running, complete or cancelled; empty for a dry run."`
	Request           anyJSON    `json:"request" doc:"What was asked for."`
	By                string     `json:"by"`
	Reason            string     `json:"reason"`
	Matched           int        `json:"matched" doc:"Tasks that the filter selected when it began."`
	MatchedIsEstimate bool       `json:"matched_is_estimate" doc:"They were matched or more: counting all would have taken long."`
	Done              int        `json:"done" doc:"Tasks to which it was done."`
	Refused           int        `json:"refused" doc:"Tasks to which it could not be done any more."`
	Message           string     `json:"message" doc:"Why some were refused, or who cancelled it, for people."`
	CreatedAt         *time.Time `json:"created_at"`
	UpdatedAt         *time.Time `json:"updated_at"`
}

type bulkOperationOutput struct {
	Status        int
	Location      string `header:"Location" doc:"Path of the operation; absent for a dry run."`
	UnknownFields string `header:"X-Tasker-Unknown-Fields" doc:"Fields of the body that were not understood; absent when there are none."`
	Body          BulkOperationResponse
}

type operationInput struct {
	OperationUUID string `path:"operation_uuid" format:"uuid" doc:"The operation."`
}

type cancelOperationInput struct {
	OperationUUID string `path:"operation_uuid" format:"uuid" doc:"The operation."`
	Reason        string `query:"reason" maxLength:"500" doc:"Why."`
	By            string `query:"by" maxLength:"255" doc:"Who; whose credentials these are when not given."`
}

func registerBatches(a *api, s Service) {
	register(a, app.CreateTasks, func(ctx context.Context, in *bodyInput) (*acted[CreateTasksResponse], error) {
		all, together, unknown, err := decodeBatch(in.RawBody)
		if err != nil {
			return nil, err
		}
		items, err := s.CreateTasks(ctx, all, together)
		if err != nil {
			return nil, err
		}
		return &acted[CreateTasksResponse]{UnknownFields: unknownNames(unknown), Body: batchResponse(items)}, nil
	})
	register(a, app.CancelTasks, doBulk(s.CancelTasks))
	register(a, app.RetryTasks, doBulk(s.RetryTasks))
	register(a, app.ListBulkOperations, func(ctx context.Context, in *limitInput) (*list[BulkOperationResponse], error) {
		all, err := s.ListBulkOperations(ctx, in.Limit)
		return listed(all, err, bulkOperation)
	})
	register(a, app.GetBulkOperation, func(ctx context.Context, in *operationInput) (*read[BulkOperationResponse], error) {
		b, err := s.GetBulkOperation(ctx, in.OperationUUID)
		if err != nil {
			return nil, err
		}
		return &read[BulkOperationResponse]{Body: bulkOperation(&b)}, nil
	})
	register(a, app.CancelBulkOperation, func(ctx context.Context, in *cancelOperationInput) (*read[BulkOperationResponse], error) {
		b, err := s.CancelBulkOperation(ctx, in.OperationUUID, or(in.By, caller(ctx)), in.Reason)
		if err != nil {
			return nil, err
		}
		return &read[BulkOperationResponse]{Body: bulkOperation(&b)}, nil
	})
}

func doBulk(do func(context.Context, app.BulkRequest) (ports.BulkOperation, error)) func(context.Context, *bodyInput) (*bulkOperationOutput, error) {
	return func(ctx context.Context, in *bodyInput) (*bulkOperationOutput, error) {
		r, unknown, err := decodeBulkTasks(in.RawBody)
		if err != nil {
			return nil, err
		}
		r.By = or(r.By, caller(ctx))
		b, err := do(ctx, r)
		if err != nil {
			return nil, err
		}
		out := &bulkOperationOutput{Status: http.StatusAccepted, UnknownFields: unknownNames(unknown), Body: bulkOperation(&b)}
		if r.DryRun {
			out.Status = http.StatusOK
		} else {
			out.Location = "/v1/bulk-operations/" + b.ID.String()
		}
		return out, nil
	}
}

// decodeBatch reads the tasks of a batch, each as a create reads it.
func decodeBatch(body []byte) (all []app.CreateRequest, together bool, unknown []string, err error) {
	var (
		inner []string
		mode  string
	)
	unknown, err = readObject(body, fields{
		"tasks": func(path string, raw json.RawMessage) error {
			return readItems(path, raw, func(path string, item json.RawMessage) error {
				all = append(all, app.CreateRequest{})
				return readInner(path, item, createFields(&all[len(all)-1]), &inner)
			})
		},
		"mode": text(&mode),
	})
	if err != nil {
		return nil, false, nil, err
	}
	switch mode {
	case "", "each":
	case "all_or_nothing":
		together = true
	default:
		err = fault.In("mode", fault.CodeInvalidField, "mode is neither all_or_nothing nor each")
	}
	return all, together, append(unknown, inner...), err
}

func batchResponse(items []app.BatchItem) CreateTasksResponse {
	out := CreateTasksResponse{Items: make([]CreateTasksItem, len(items))}
	for i := range items {
		item := &items[i]
		one := CreateTasksItem{Status: item.Status()}
		if !item.ID.IsZero() {
			one.TaskUUID = item.ID.String()
		}
		switch {
		case item.Refused != nil:
			out.Refused++
			f := item.Refused
			one.Error = &RefusedItem{Code: string(f.Code), Detail: f.Message, Errors: blamed(f)}
			if id := f.Meta["task_uuid"]; id != "" {
				one.TaskUUID = id
			}
		case item.Existed:
			out.Existing++
		default:
			out.Created++
			one.State = item.State.String()
		}
		out.Items[i] = one
	}
	return out
}

func blamed(f *fault.Error) []ProblemItem {
	var all []ProblemItem
	for _, d := range f.Details {
		all = append(all, ProblemItem{Field: d.Field, Message: d.Message})
	}
	if len(all) == 0 && f.Field != "" {
		all = []ProblemItem{{Field: f.Field, Message: f.Message}}
	}
	return all
}

// decodeBulkTasks reads what is done to many tasks.
func decodeBulkTasks(body []byte) (app.BulkRequest, []string, error) {
	var (
		r     app.BulkRequest
		q     TaskQuery
		inner []string
	)
	unknown, err := readObject(body, fields{
		"filter":  func(path string, raw json.RawMessage) error { return readInner(path, raw, q.fields(), &inner) },
		"dry_run": flag(&r.DryRun), "limit": whole(&r.Limit), "rate": number(&r.Rate), "reason": text(&r.Why), "by": text(&r.By),
	})
	if err != nil {
		return r, nil, err
	}
	if r.Filter, err = q.filter(true); err != nil {
		if f := fault.Of(err); f.Field != "" {
			copied := *f
			copied.Field = "filter." + f.Field
			err = &copied
		}
	}
	return r, append(unknown, inner...), err
}

// fields reads the parameters from a body, where they have the same names.
func (q *TaskQuery) fields() fields {
	words := func(into *[]string) func(string, json.RawMessage) error {
		return func(path string, raw json.RawMessage) error {
			if raw[0] == '"' {
				*into = make([]string, 1)
				return readText(path, raw, &(*into)[0])
			}
			return readTexts(path, raw, into)
		}
	}
	return fields{
		"namespace": text(&q.Namespace), "name": text(&q.Name), "version": text(&q.Version), "status": words(&q.Status),
		"initiator": text(&q.Initiator), "source_system": text(&q.SourceSystem), "tags": words(&q.Tags),
		"correlation_id": text(&q.CorrelationID), "error": text(&q.Error),
		"created_after": text(&q.CreatedAfter), "created_before": text(&q.CreatedBefore),
		"updated_after": text(&q.UpdatedAfter), "updated_before": text(&q.UpdatedBefore),
		"completed_after": text(&q.CompletedAfter), "completed_before": text(&q.CompletedBefore),
	}
}

func bulkOperation(b *ports.BulkOperation) BulkOperationResponse {
	r := BulkOperationResponse{
		Action: b.Action, State: string(b.State), Request: anyJSON(b.Request), By: b.By, Reason: b.Reason, Matched: b.Matched,
		MatchedIsEstimate: b.AtLeast, Done: b.Done, Refused: b.Refused, Message: b.Message,
		CreatedAt: when(b.CreatedAt), UpdatedAt: when(b.UpdatedAt),
	}
	if b.ID != uuid.Nil {
		id := b.ID.String()
		r.OperationUUID = &id
	}
	return r
}

// batchRoutes are those of many tasks, and the stream of one.
var batchRoutes = map[app.Operation]route{
	app.WatchTask: {
		method: http.MethodGet, path: "/v1/tasks/{uuid}/events", status: http.StatusOK, tag: "tasks",
		summary: "Follow a task and its steps",
		description: "Server-sent events, pushed as they are committed: task and step, each with an id, and a comment now and then. " +
			"From the creation of the task, or after the event that Last-Event-ID names, on whichever server. " +
			"The stream ends after the event that ends the task; asked for again after it, the answer is 204.",
		problems: []int{bad, missing}, media: "text/event-stream",
	},
	app.CreateTasks: {
		method: http.MethodPost, path: "/v1/tasks/batch", status: http.StatusOK, tag: "tasks",
		summary: "Create up to 1000 tasks",
		description: "In one round of work. With mode each, every task has an outcome of its own. With all_or_nothing a task that cannot be " +
			"created keeps all from it: the answer is that of its own create, and its errors name the tasks.",
		problems: []int{missing, conflict}, body: CreateTasksBody{},
	},
	app.CancelTasks: {
		method: http.MethodPost, path: "/v1/tasks/bulk/cancel", status: http.StatusAccepted, also: http.StatusOK, tag: "tasks",
		summary:     "Begin to cancel many tasks",
		description: "Goes on in the background; see Location. With dry_run it only counts, and answers 200.",
		body:        BulkBody{},
	},
	app.RetryTasks: {
		method: http.MethodPost, path: "/v1/tasks/bulk/retry", status: http.StatusAccepted, also: http.StatusOK, tag: "tasks",
		summary: "Begin to retry many tasks",
		description: "Runs all failed steps of the selected tasks again; where the filter names no states, of those that are blocked by failures " +
			"or have ended in error. Goes on in the background; see Location. With dry_run it only counts, and answers 200.",
		body: BulkBody{},
	},
	app.ListBulkOperations: {
		method: http.MethodGet, path: "/v1/bulk-operations", status: http.StatusOK, tag: "tasks",
		summary: "List bulk operations, the newest first", problems: []int{bad},
	},
	app.GetBulkOperation: {
		method: http.MethodGet, path: "/v1/bulk-operations/{operation_uuid}", status: http.StatusOK, tag: "tasks",
		summary: "How far a bulk operation has come", problems: []int{bad, missing},
	},
	app.CancelBulkOperation: {
		method: http.MethodDelete, path: "/v1/bulk-operations/{operation_uuid}", status: http.StatusOK, tag: "tasks",
		summary: "Stop a bulk operation", description: "What was done stays done.", problems: []int{bad, missing},
	},
}
