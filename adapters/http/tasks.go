package http

import (
	"context"
	"math"
	"net/http"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

type createInput struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"The same as idempotency_key in the body." maxLength:"255"`
	RawBody        []byte `contentType:"application/json"`
}

type createOutput struct {
	Status        int
	Location      string `header:"Location" doc:"Path of the task."`
	UnknownFields string `header:"X-Tasker-Unknown-Fields" doc:"Fields of the body that were not understood; absent when there are none."`
	Body          TaskResponse
}

type taskInput struct {
	UUID string `path:"uuid" format:"uuid" doc:"The task."`
}

type taskOutput struct{ Body TaskResponse }

type listInput struct {
	Page         int64  `query:"page" minimum:"1" maximum:"4294967295" default:"1" doc:"Number of the page, from 1."`
	PerPage      int    `query:"per_page" minimum:"1" maximum:"100" default:"25"`
	Cursor       string `query:"cursor" doc:"next_cursor of the page before; instead of page."`
	Namespace    string `query:"namespace"`
	Status       string `query:"status" doc:"A state of a task, or completed. The word pending selects every task that is not complete."`
	Initiator    string `query:"initiator"`
	SourceSystem string `query:"source_system"`
}

type listOutput struct{ Body TaskListResponse }

func registerTasks(a *api, s Service) {
	register(a, app.CreateTask, func(ctx context.Context, in *createInput) (*createOutput, error) {
		r, unknown, err := decodeCreate(in.RawBody)
		if err != nil {
			return nil, err
		}
		if in.IdempotencyKey != "" {
			if r.IdempotencyKey != "" && r.IdempotencyKey != in.IdempotencyKey {
				return nil, fault.In("idempotency_key", fault.CodeInvalidField,
					"idempotency_key and the header Idempotency-Key differ; give one of them")
			}
			r.IdempotencyKey = in.IdempotencyKey
		}
		t, err := s.CreateTask(ctx, r)
		if err != nil {
			return nil, err
		}
		status := http.StatusCreated
		if t.Existed {
			status = http.StatusOK
		}
		return &createOutput{
			Status: status, Location: "/v1/tasks/" + t.ID.String(), UnknownFields: unknownNames(unknown), Body: taskResponse(&t),
		}, nil
	})
	register(a, app.GetTask, func(ctx context.Context, in *taskInput) (*taskOutput, error) {
		id, err := taskID(in.UUID)
		if err != nil {
			return nil, err
		}
		t, err := s.GetTask(ctx, id)
		if err != nil {
			return nil, err
		}
		return &taskOutput{Body: taskResponse(&t)}, nil
	})
	register(a, app.ListTasks, func(ctx context.Context, in *listInput) (*listOutput, error) {
		return listTasks(ctx, s, in)
	})
}

func listTasks(ctx context.Context, s Service, in *listInput) (*listOutput, error) {
	states, err := statesOf(in.Status)
	if err != nil {
		return nil, err
	}
	if in.Page > math.MaxUint32 {
		return nil, fault.In("page", fault.CodeInvalidField, "page is too large, want at most %d", uint32(math.MaxUint32))
	}
	f := ports.TaskFilter{Namespace: in.Namespace, Initiator: in.Initiator, SourceSystem: in.SourceSystem, States: states}
	p := ports.TaskPage{Limit: in.PerPage, Skip: int(in.Page-1) * in.PerPage, Total: true}
	number, known := in.Page, int64(-1)
	if in.Cursor != "" {
		if in.Page != 1 {
			return nil, fault.In("page", fault.CodeInvalidField, "give cursor or page, not both")
		}
		c, err := parseCursor(in.Cursor, filterHash(f))
		if err != nil {
			return nil, err
		}
		p = ports.TaskPage{Limit: in.PerPage, Before: c.before}
		number, known = int64(c.page), int64(c.total) //nolint:gosec // G115: parseCursor bounds it
	}
	page, err := s.ListTasks(ctx, f, p)
	if err != nil {
		return nil, err
	}
	if known < 0 {
		known = page.Total
	}
	out := &listOutput{Body: TaskListResponse{Tasks: make([]TaskResponse, len(page.Tasks)), Pagination: Pagination{
		Page: number, PerPage: in.PerPage, TotalCount: known,
		TotalPages: (known + int64(in.PerPage) - 1) / int64(in.PerPage),
		HasNext:    !page.Next.IsZero(), HasPrevious: number > 1,
	}}}
	for i := range page.Tasks {
		out.Body.Tasks[i] = taskResponse(&page.Tasks[i])
	}
	if out.Body.Pagination.HasNext {
		next := cursor{before: page.Next, page: uint32(number + 1), total: uint64(max(0, known)), filter: filterHash(f)}.String() //nolint:gosec // G115: bounded
		out.Body.Pagination.NextCursor = &next
	}
	return out, nil
}

// statesOf reads the filter by status: a state, or one of the two words of the
// contract, completed and pending. The latter means all that is not complete.
func statesOf(word string) ([]task.State, error) {
	switch word {
	case "":
		return nil, nil
	case "completed":
		return []task.State{task.Complete}, nil
	case task.Pending.String():
		var open []task.State
		for _, s := range task.States() {
			if s != task.Complete {
				open = append(open, s)
			}
		}
		return open, nil
	}
	s, err := task.ParseState(word)
	if err != nil {
		return nil, fault.In("status", fault.CodeInvalidState, "status is neither a state of a task nor pending or completed")
	}
	return []task.State{s}, nil
}

func taskID(text string) (ident.TaskID, error) { return taskIDIn("uuid", text) }

func taskIDIn(field, text string) (ident.TaskID, error) {
	id, err := ident.ParseTask(text)
	if err != nil {
		return id, fault.In(field, fault.CodeInvalidUUID, "%s is %s", field, err)
	}
	return id, nil
}
