package http

import (
	"context"
	"net/http"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
)

type createInput struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"The same as idempotency_key in the body." maxLength:"255"`
	WaitQuery
	RawBody []byte `contentType:"application/json"`
}

type getTaskInput struct {
	UUID string `path:"uuid" format:"uuid" doc:"The task."`
	WaitQuery
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
		longest, until, err := in.wait(a.cfg.MaxWait)
		if err != nil {
			return nil, err
		}
		t, err := s.CreateTask(ctx, r)
		if err != nil {
			return nil, err
		}
		if longest > 0 {
			// It was created, whatever becomes of the wait.
			if later, err := a.await(ctx, s, t.ID, longest, until); err == nil {
				later.Existed = t.Existed
				t = later
			}
		}
		status := http.StatusCreated
		if t.Existed {
			status = http.StatusOK
		}
		return &createOutput{
			Status: status, Location: "/v1/tasks/" + t.ID.String(), UnknownFields: unknownNames(unknown), Body: taskResponse(&t),
		}, nil
	})
	register(a, app.GetTask, func(ctx context.Context, in *getTaskInput) (*taskOutput, error) {
		id, err := taskID(in.UUID)
		if err != nil {
			return nil, err
		}
		longest, until, err := in.wait(a.cfg.MaxWait)
		if err != nil {
			return nil, err
		}
		var t app.Task
		if longest > 0 {
			t, err = a.await(ctx, s, id, longest, until)
		} else {
			t, err = s.GetTask(ctx, id)
		}
		if err != nil {
			return nil, err
		}
		return &taskOutput{Body: taskResponse(&t)}, nil
	})
	registerLists(a, s)
}

func taskID(text string) (ident.TaskID, error) { return taskIDIn("uuid", text) }

func taskIDIn(field, text string) (ident.TaskID, error) {
	id, err := ident.ParseTask(text)
	if err != nil {
		return id, fault.In(field, fault.CodeInvalidUUID, "%s is %s", field, err)
	}
	return id, nil
}
