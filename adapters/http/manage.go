package http

import (
	"context"
	"net/http"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/ident"
)

// ActionBody documents what people may say with an action.
type ActionBody struct {
	Reason *string `json:"reason,omitempty" nullable:"true" maxLength:"500" doc:"Why; kept in the history."`
	By     *string `json:"by,omitempty" nullable:"true" maxLength:"255" doc:"Who; whose credentials these are when not given."`
}

// read is an answer.
type read[B any] struct{ Body B }

// list is an answer of many.
type list[B any] struct {
	Body []B `nullable:"false"`
}

// acted is the answer to a body.
type acted[B any] struct {
	UnknownFields string `header:"X-Tasker-Unknown-Fields" doc:"Fields of the body that were not understood; absent when there are none."`
	Body          B
}

// said is what somebody says of themselves and of their reasons.
type said struct{ by, why string }

// readSaid reads it from a body, which may be empty.
func readSaid(ctx context.Context, body []byte) (said, []string, error) {
	s := said{by: caller(ctx)}
	if len(body) == 0 {
		return s, nil, nil
	}
	unknown, err := readObject(body, s.fields())
	return s, unknown, err
}

func (s *said) fields() fields { return fields{"reason": text(&s.why), "by": text(&s.by)} }

// caller returns whose credentials a request bears.
func caller(ctx context.Context) string { return callOf(ctx).principal.Subject }

type taskActionInput struct {
	UUID    string `path:"uuid" format:"uuid" doc:"The task."`
	RawBody []byte `contentType:"application/json"`
}

type cancelInput struct {
	UUID   string `path:"uuid" format:"uuid" doc:"The task."`
	Reason string `query:"reason" maxLength:"500" doc:"Why; kept in the history."`
	By     string `query:"by" maxLength:"255" doc:"Who; whose credentials these are when not given."`
}

func registerManagement(a *api, s Service) {
	register(a, app.CancelTask, func(ctx context.Context, in *cancelInput) (*taskOutput, error) {
		id, err := taskID(in.UUID)
		if err != nil {
			return nil, err
		}
		t, err := s.CancelTask(ctx, id, or(in.By, caller(ctx)), or(in.Reason, "cancelled by request"))
		if err != nil {
			return nil, err
		}
		return &taskOutput{Body: taskResponse(&t)}, nil
	})
	for op, act := range map[app.Operation]func(context.Context, ident.TaskID, string, string) (app.Task, error){
		app.GiveUpTask: s.GiveUpTask, app.ResolveTask: s.ResolveTask, app.RetryTask: s.RetryTask,
	} {
		register(a, op, func(ctx context.Context, in *taskActionInput) (*acted[TaskResponse], error) {
			id, err := taskID(in.UUID)
			if err != nil {
				return nil, err
			}
			words, unknown, err := readSaid(ctx, in.RawBody)
			if err != nil {
				return nil, err
			}
			t, err := act(ctx, id, words.by, words.why)
			if err != nil {
				return nil, err
			}
			return &acted[TaskResponse]{UnknownFields: unknownNames(unknown), Body: taskResponse(&t)}, nil
		})
	}
	register(a, app.PurgeTask, func(ctx context.Context, in *taskInput) (*struct{}, error) {
		id, err := taskID(in.UUID)
		if err != nil {
			return nil, err
		}
		return nil, s.PurgeTask(ctx, id)
	})
}

// or returns text, or what to say instead of none.
func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// operatorRoutes are what people do to tasks, steps, templates and namespaces.
var operatorRoutes = map[app.Operation]route{
	app.ExplainTask: {
		method: http.MethodGet, path: "/v1/tasks/{uuid}/explain", status: http.StatusOK, tag: "tasks",
		summary: "Why a task does not move",
		description: "Says of the task, and of each of its unfinished steps, why it is where it is and what would unblock it, " +
			"by the rules that move it. Codes are stable. What does not apply is left out.",
		problems: []int{bad, missing}, answer: ExplanationResponse{},
	},
	app.GiveUpTask: {
		method: http.MethodPost, path: "/v1/tasks/{uuid}/give_up", status: http.StatusOK, tag: "tasks",
		summary: "End a task that is blocked by failures, in error", problems: []int{missing}, body: ActionBody{}, optional: true,
	},
	app.ResolveTask: {
		method: http.MethodPost, path: "/v1/tasks/{uuid}/resolve", status: http.StatusOK, tag: "tasks",
		summary: "End a task as resolved by hand, with all its open steps", problems: []int{missing}, body: ActionBody{}, optional: true,
	},
	app.RetryTask: {
		method: http.MethodPost, path: "/v1/tasks/{uuid}/retry", status: http.StatusOK, tag: "tasks",
		summary:     "Run all failed steps of a task again",
		description: "Their attempts are counted anew. A task that has ended in error is revived by it.",
		problems:    []int{missing}, body: ActionBody{}, optional: true,
	},
	app.PurgeTask: {
		method: http.MethodDelete, path: "/v1/tasks/{uuid}/purge", status: http.StatusNoContent, tag: "tasks",
		summary:     "Forget a finished task",
		description: "Its steps, its history, its dead letters and its identity are gone.",
		problems:    []int{bad, missing},
	},
	app.ResolveStep: {
		method: http.MethodPatch, path: "/v1/tasks/{uuid}/workflow_steps/{step_uuid}", status: http.StatusOK, tag: "workflow_steps",
		summary:     "Settle a step by hand",
		description: "Who and why are kept in the history. The task moves on by itself afterwards. What the state of the step does not allow is refused with 400.",
		problems:    []int{missing}, body: ResolveStepBody{},
	},
	app.GetStepAudit: {
		method: http.MethodGet, path: "/v1/tasks/{uuid}/workflow_steps/{step_uuid}/audit", status: http.StatusOK, tag: "workflow_steps",
		summary: "What happened to a step, the newest first", problems: []int{bad, missing},
	},
	app.PauseTask: {
		method: http.MethodPost, path: "/v1/tasks/{uuid}/pause", status: http.StatusOK, tag: "pauses",
		summary:     "Hold back the waiting steps of a task",
		description: "What runs is let finish. What is paused already stays as it is.",
		problems:    []int{missing}, body: ActionBody{}, optional: true,
	},
	app.ResumeTask: {
		method: http.MethodPost, path: "/v1/tasks/{uuid}/resume", status: http.StatusOK, tag: "pauses",
		summary: "Let a paused task go on", problems: []int{missing}, body: ActionBody{}, optional: true,
	},
	app.PauseTemplate: {
		method: http.MethodPost, path: "/v1/templates/{namespace}/{name}/{version}/pause", status: http.StatusOK, tag: "pauses",
		summary: "Hold back all tasks of a version of a template", problems: []int{missing}, body: ActionBody{}, optional: true,
	},
	app.ResumeTemplate: {
		method: http.MethodPost, path: "/v1/templates/{namespace}/{name}/{version}/resume", status: http.StatusOK, tag: "pauses",
		summary: "Let the tasks of a version of a template go on", problems: []int{missing}, body: ActionBody{}, optional: true,
	},
	app.PauseNamespace: {
		method: http.MethodPost, path: "/v1/namespaces/{namespace}/pause", status: http.StatusOK, tag: "pauses",
		summary: "Hold back all tasks in a namespace", body: ActionBody{}, optional: true,
	},
	app.ResumeNamespace: {
		method: http.MethodPost, path: "/v1/namespaces/{namespace}/resume", status: http.StatusOK, tag: "pauses",
		summary: "Let the tasks in a namespace go on", body: ActionBody{}, optional: true,
	},
	app.ListPauses: {
		method: http.MethodGet, path: "/v1/pauses", status: http.StatusOK, tag: "pauses",
		summary: "List what is paused, the newest first", problems: []int{bad},
	},
	app.RegisterTemplates: {
		method: http.MethodPost, path: "/v1/templates", status: http.StatusCreated, tag: "templates",
		summary: "Register a template",
		description: "The same content again is the same revision; other content under a " +
			"used version is refused with 409, unless revise is true. All problems are named at once, by line and column.",
		problems: []int{http.StatusConflict}, accepts: templateMedia,
	},
	app.ValidateTemplates: {
		method: http.MethodPost, path: "/v1/templates/validate", status: http.StatusOK, tag: "templates",
		summary: "Say what is wrong with a template", description: "Stores nothing.", accepts: templateMedia,
	},
	app.DisableTemplate: {
		method: http.MethodPost, path: "/v1/templates/{namespace}/{name}/{version}/disable", status: http.StatusOK, tag: "templates",
		summary: "Refuse new tasks of a version of a template", description: "Those that exist go on.",
		problems: []int{missing}, body: ActionBody{}, optional: true,
	},
	app.EnableTemplate: {
		method: http.MethodPost, path: "/v1/templates/{namespace}/{name}/{version}/enable", status: http.StatusOK, tag: "templates",
		summary: "Take new tasks of a version of a template again", problems: []int{missing}, body: ActionBody{}, optional: true,
	},
}
