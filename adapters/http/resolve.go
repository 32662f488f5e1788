package http

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
)

// ResolveStepBody documents what people do to a step; decodeAction reads it.
type ResolveStepBody struct {
	ActionType     string          `json:"action_type" enum:"reset_for_retry,resolve_manually,complete_manually"`
	Reason         *string         `json:"reason,omitempty" nullable:"true" maxLength:"500" doc:"Why; kept in the history."`
	ResetBy        *string         `json:"reset_by,omitempty" nullable:"true" maxLength:"255" doc:"With reset_for_retry: who; whose credentials these are when not given."`
	ResolvedBy     *string         `json:"resolved_by,omitempty" nullable:"true" maxLength:"255" doc:"With resolve_manually: the same."`
	CompletedBy    *string         `json:"completed_by,omitempty" nullable:"true" maxLength:"255" doc:"With complete_manually: the same."`
	CompletionData *CompletionData `json:"completion_data,omitempty" doc:"With complete_manually, and needed there."`
	Inputs         map[string]any  `json:"inputs,omitempty" nullable:"true" doc:"With reset_for_retry: what the handler gets from now on instead of its initialization."`
}

// CompletionData is what a step that is completed by hand has returned.
type CompletionData struct {
	Result   anyJSON `json:"result" doc:"What the steps after it read."`
	Metadata anyJSON `json:"metadata,omitempty" doc:"Noted with the reason."`
}

// AuditResponse is what a worker reported of a step, or what a person did to it.
type AuditResponse struct {
	AuditUUID        string    `json:"audit_uuid" format:"uuid"`
	WorkflowStepUUID string    `json:"workflow_step_uuid" format:"uuid"`
	TransitionUUID   string    `json:"transition_uuid" format:"uuid"`
	TaskUUID         string    `json:"task_uuid" format:"uuid"`
	RecordedAt       time.Time `json:"recorded_at"`
	Success          bool      `json:"success"`
	ExecutionTimeMS  *int32    `json:"execution_time_ms,omitempty"`
	Result           *anyJSON  `json:"result,omitempty" doc:"What the step has, in the newest row: success, result, error, metadata."`
	StepName         string    `json:"step_name"`
	FromState        string    `json:"from_state"`
	ToState          string    `json:"to_state"`
	Path             []string  `json:"path,omitempty" nullable:"false" doc:"States passed through on the way."`
	Attempt          int32     `json:"attempt"`
	Dispatch         int32     `json:"dispatch"`
	Server           int32     `json:"server,omitempty" doc:"The server that recorded it, by number."`
	By               string    `json:"by,omitempty" doc:"Who acted by hand."`
	Reason           string    `json:"reason,omitempty" doc:"Why."`
	Error            *anyJSON  `json:"error,omitempty" doc:"What went wrong."`
}

type resolveInput struct {
	UUID     string `path:"uuid" format:"uuid" doc:"The task."`
	StepUUID string `path:"step_uuid" format:"uuid" doc:"The step."`
	RawBody  []byte `contentType:"application/json"`
}

// actions are the tags of the body, each with the name under which it says who.
var actions = map[string]struct {
	action plan.Action
	by     string
}{
	"reset_for_retry":   {plan.ResetForRetry, "reset_by"},
	"resolve_manually":  {plan.ResolveManually, "resolved_by"},
	"complete_manually": {plan.CompleteManually, "completed_by"},
}

// decodeAction reads what is to be done to a step, and by whom.
func decodeAction(body []byte) (app.StepAction, []string, error) {
	var (
		s          app.StepAction
		tag        string
		completion bool
		unknown    []string
	)
	by := map[string]*string{"reset_by": new(string), "resolved_by": new(string), "completed_by": new(string)}
	more, err := readObject(body, fields{
		"action_type": text(&tag), "reason": text(&s.Why), "inputs": asIs(&s.Inputs),
		"reset_by": text(by["reset_by"]), "resolved_by": text(by["resolved_by"]), "completed_by": text(by["completed_by"]),
		"completion_data": func(path string, raw json.RawMessage) error {
			completion = true
			var given map[string]json.RawMessage // null is a result, too
			if raw[0] == '{' && json.Unmarshal(raw, &given) == nil && given["result"] == nil {
				return fault.In(path+".result", fault.CodeInvalidField, "%s.result is missing; null is one, too", path)
			}
			return readInner(path, raw, fields{"result": asIs(&s.Value), "metadata": asIs(&s.Metadata)}, &unknown)
		},
	})
	if err != nil {
		return s, nil, err
	}
	a, known := actions[tag]
	switch {
	case tag == "":
		return s, nil, fault.In("action_type", fault.CodeInvalidField, "action_type is missing, want reset_for_retry, resolve_manually or complete_manually")
	case !known:
		return s, nil, fault.In("action_type", fault.CodeInvalidField, "action_type is none of reset_for_retry, resolve_manually and complete_manually")
	case a.action == plan.CompleteManually && !completion:
		return s, nil, fault.In("completion_data", fault.CodeInvalidField, "completion_data is missing; complete_manually needs its result")
	case a.action != plan.CompleteManually && completion:
		return s, nil, fault.In("completion_data", fault.CodeInvalidField, "completion_data goes with complete_manually alone")
	case a.action != plan.ResetForRetry && s.Inputs != nil:
		return s, nil, fault.In("inputs", fault.CodeInvalidField, "inputs go with reset_for_retry alone")
	}
	s.Action, s.By = a.action, *by[a.by]
	return s, append(more, unknown...), nil
}

func registerResolve(a *api, s Service) {
	register(a, app.ResolveStep, func(ctx context.Context, in *resolveInput) (*acted[StepResponse], error) {
		id, stepID, err := stepOf(in.UUID, in.StepUUID)
		if err != nil {
			return nil, err
		}
		act, unknown, err := decodeAction(in.RawBody)
		if err != nil {
			return nil, err
		}
		act.Task, act.Step, act.By = id, stepID, or(act.By, caller(ctx))
		got, err := s.ResolveStep(ctx, act)
		if err != nil {
			return nil, err
		}
		return &acted[StepResponse]{UnknownFields: unknownNames(unknown), Body: stepResponse(&got)}, nil
	})
	register(a, app.GetStepAudit, func(ctx context.Context, in *stepInput) (*list[AuditResponse], error) {
		id, stepID, err := stepOf(in.UUID, in.StepUUID)
		if err != nil {
			return nil, err
		}
		rows, err := s.StepAudit(ctx, id, stepID)
		return listed(rows, err, auditResponse)
	})
}

func stepOf(task, step string) (ident.TaskID, ident.StepID, error) {
	id, err := taskID(task)
	if err != nil {
		return id, ident.StepID{}, err
	}
	stepID, err := ident.ParseStep(step)
	if err != nil {
		return id, stepID, fault.In("step_uuid", fault.CodeInvalidUUID, "step_uuid is %s", err)
	}
	return id, stepID, nil
}

func auditResponse(r *app.AuditRow) AuditResponse {
	out := AuditResponse{
		AuditUUID: r.ID, WorkflowStepUUID: r.Ref.ID().String(), TransitionUUID: r.Transition, TaskUUID: r.Ref.Task.String(),
		RecordedAt: r.At.UTC(), Success: r.Success, ExecutionTimeMS: r.ElapsedMS, Result: present(r.Result), StepName: r.Name,
		FromState: r.From.String(), ToState: r.To.String(), Attempt: r.Attempt, Dispatch: r.Dispatch, Server: r.Server,
		By: r.By, Reason: r.Why, Error: present(r.Failure),
	}
	for _, s := range r.Path {
		out.Path = append(out.Path, s.String())
	}
	return out
}

// present returns nil for a value that there is not.
func present(raw json.RawMessage) *anyJSON {
	if len(raw) == 0 {
		return nil
	}
	return (*anyJSON)(&raw)
}
