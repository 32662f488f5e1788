package http

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/ports"
)

// ResumeBody documents how a dead letter runs again.
type ResumeBody struct {
	Action *string          `json:"action,omitempty" nullable:"true" enum:"reset,skip,resolve,give_up" doc:"What to do with the failed steps that are not named: run them again, count them as done without a result or with one, or end the task in error. Default reset."`
	Steps  []ResumeStepBody `json:"steps,omitempty" nullable:"true" doc:"What to do with single steps."`
	Reason *string          `json:"reason,omitempty" nullable:"true" maxLength:"500" doc:"Why; kept in the history."`
	By     *string          `json:"by,omitempty" nullable:"true" maxLength:"255" doc:"Who; whose credentials these are when not given."`
}

// ResumeStepBody is what to do with one step.
type ResumeStepBody struct {
	Name   string         `json:"name"`
	Action *string        `json:"action,omitempty" nullable:"true" enum:"reset,skip,resolve" doc:"Default what is done with the others."`
	Value  anyJSON        `json:"value,omitempty" doc:"With resolve: the result. Default null."`
	Inputs map[string]any `json:"inputs,omitempty" nullable:"true" doc:"With reset: what the handler gets from now on instead of its initialization."`
}

// BulkResumeBody documents how many run again.
type BulkResumeBody struct {
	Filter        LetterFilterBody `json:"filter,omitempty" doc:"Which ones; all that are open when not given."`
	Action        *string          `json:"action,omitempty" nullable:"true" enum:"reset,skip,resolve,give_up" doc:"As for one. Default reset."`
	DryRun        bool             `json:"dry_run,omitempty" doc:"Count only, and change nothing."`
	Rate          float64          `json:"rate,omitempty" doc:"How many a second; 0 for as fast as it goes."`
	CanaryPercent float64          `json:"canary_percent,omitempty" doc:"The share that runs first and is waited for; 0 for none."`
	StopPercent   float64          `json:"stop_percent,omitempty" doc:"Stop when so many of those that have ended have failed again; 0 for never."`
	Limit         int              `json:"limit,omitempty" doc:"How many at most; 0 for all."`
	Reason        *string          `json:"reason,omitempty" nullable:"true" maxLength:"500" doc:"Why; kept in the history."`
	By            *string          `json:"by,omitempty" nullable:"true" maxLength:"255" doc:"Who; whose credentials these are when not given."`
}

// LetterFilterBody documents which dead letters are meant.
type LetterFilterBody struct {
	ResolutionStatus *string  `json:"resolution_status,omitempty" nullable:"true"`
	Reason           []string `json:"reason,omitempty" nullable:"true" doc:"A word alone, too."`
	Namespace        *string  `json:"namespace,omitempty" nullable:"true"`
	Name             *string  `json:"name,omitempty" nullable:"true"`
	Version          *string  `json:"version,omitempty" nullable:"true"`
	Fingerprint      *string  `json:"fingerprint,omitempty" nullable:"true"`
	From             *string  `json:"from,omitempty" nullable:"true" format:"date-time"`
	Until            *string  `json:"until,omitempty" nullable:"true" format:"date-time"`
}

// BulkResumeResponse is the resume of many dead letters, as far as it has come.
type BulkResumeResponse struct {
	ResumeUUID  *string    `json:"resume_uuid" format:"uuid" doc:"Null for a dry run."`
	State       string     `json:"state" doc:"canary, running, complete, stopped or cancelled; empty for a dry run."`
	Request     anyJSON    `json:"request" doc:"What was asked for."`
	By          string     `json:"by"`
	Reason      string     `json:"reason"`
	Matched     int        `json:"matched" doc:"Dead letters that the filter selected when it began."`
	Resumed     int        `json:"resumed" doc:"Of those, whose task runs again."`
	Refused     int        `json:"refused" doc:"Of those, that had been closed meanwhile."`
	FailedAgain int        `json:"failed_again" doc:"Of the resumed."`
	Message     string     `json:"message" doc:"Why it stopped, for people."`
	CreatedAt   *time.Time `json:"created_at"`
	UpdatedAt   *time.Time `json:"updated_at"`
}

type bulkOutput struct {
	Status        int
	UnknownFields string `header:"X-Tasker-Unknown-Fields" doc:"Fields of the body that were not understood; absent when there are none."`
	Body          BulkResumeResponse
}

type resumeInput struct {
	ResumeUUID string `path:"resume_uuid" format:"uuid" doc:"The resume."`
}

type cancelResumeInput struct {
	ResumeUUID string `path:"resume_uuid" format:"uuid" doc:"The resume."`
	Reason     string `query:"reason" maxLength:"500" doc:"Why."`
	By         string `query:"by" maxLength:"255" doc:"Who; whose credentials these are when not given."`
}

type bodyInput struct {
	RawBody []byte `contentType:"application/json"`
}

func registerResumes(a *api, s Service) {
	register(a, app.ResumeDeadLetter, func(ctx context.Context, in *letterInput) (*acted[TaskResponse], error) {
		id, err := entryID(in.DlqEntryUUID)
		if err != nil {
			return nil, err
		}
		r, unknown, err := decodeResume(in.RawBody)
		if err != nil {
			return nil, err
		}
		r.Entry, r.By = id, or(r.By, caller(ctx))
		t, err := s.ResumeDeadLetter(ctx, r)
		if err != nil {
			return nil, err
		}
		return &acted[TaskResponse]{UnknownFields: unknownNames(unknown), Body: taskResponse(&t)}, nil
	})
	register(a, app.ResumeDeadLetters, func(ctx context.Context, in *bodyInput) (*bulkOutput, error) {
		r, unknown, err := decodeBulk(in.RawBody)
		if err != nil {
			return nil, err
		}
		r.By = or(r.By, caller(ctx))
		b, err := s.ResumeDeadLetters(ctx, r)
		if err != nil {
			return nil, err
		}
		out := &bulkOutput{Status: http.StatusAccepted, UnknownFields: unknownNames(unknown), Body: bulkResume(&b)}
		if r.DryRun {
			out.Status = http.StatusOK
		}
		return out, nil
	})
	register(a, app.ListResumes, func(ctx context.Context, in *limitInput) (*list[BulkResumeResponse], error) {
		all, err := s.ListResumes(ctx, in.Limit)
		return listed(all, err, bulkResume)
	})
	register(a, app.GetResume, func(ctx context.Context, in *resumeInput) (*read[BulkResumeResponse], error) {
		b, err := s.GetResume(ctx, in.ResumeUUID)
		if err != nil {
			return nil, err
		}
		return &read[BulkResumeResponse]{Body: bulkResume(&b)}, nil
	})
	register(a, app.CancelResume, func(ctx context.Context, in *cancelResumeInput) (*read[BulkResumeResponse], error) {
		b, err := s.CancelResume(ctx, in.ResumeUUID, or(in.By, caller(ctx)), in.Reason)
		if err != nil {
			return nil, err
		}
		return &read[BulkResumeResponse]{Body: bulkResume(&b)}, nil
	})
}

// decodeResume reads how one dead letter runs again.
func decodeResume(body []byte) (app.ResumeOne, []string, error) {
	var (
		r     app.ResumeOne
		inner []string
	)
	if len(body) == 0 {
		return r, nil, nil
	}
	unknown, err := readObject(body, fields{
		"action": text(&r.Action), "reason": text(&r.Why), "by": text(&r.By),
		"steps": func(path string, raw json.RawMessage) error {
			return readItems(path, raw, func(path string, item json.RawMessage) error {
				r.Steps = append(r.Steps, app.ResumeStep{})
				s := &r.Steps[len(r.Steps)-1]
				return readInner(path, item, fields{
					"name": text(&s.Name), "action": text(&s.Action), "value": asIs(&s.Value), "inputs": asIs(&s.Inputs),
				}, &inner)
			})
		},
	})
	return r, append(unknown, inner...), err
}

// decodeBulk reads how many run again.
func decodeBulk(body []byte) (app.ResumeMany, []string, error) {
	var (
		r     app.ResumeMany
		inner []string
	)
	unknown, err := readObject(body, fields{
		"filter": func(path string, raw json.RawMessage) error {
			return readInner(path, raw, filterFields(&r.Filter), &inner)
		},
		"action": text(&r.Action), "dry_run": flag(&r.DryRun), "rate": number(&r.Rate), "canary_percent": number(&r.CanaryPercent),
		"stop_percent": number(&r.StopPercent), "limit": whole(&r.Limit), "reason": text(&r.Why), "by": text(&r.By),
	})
	return r, append(unknown, inner...), err
}

func bulkResume(b *ports.BulkResume) BulkResumeResponse {
	r := BulkResumeResponse{
		State: string(b.State), Request: anyJSON(b.Request), By: b.By, Reason: b.Reason, Matched: b.Matched, Resumed: b.Resumed,
		Refused: b.Refused, FailedAgain: b.FailedAgain, Message: b.Message, CreatedAt: when(b.CreatedAt), UpdatedAt: when(b.UpdatedAt),
	}
	if b.ID != uuid.Nil {
		id := b.ID.String()
		r.ResumeUUID = &id
	}
	return r
}

const conflict = http.StatusConflict

// deadLetterRoutes are those of section dlq.
var deadLetterRoutes = map[app.Operation]route{
	app.ListDeadLetters: {
		method: http.MethodGet, path: "/v1/dlq", status: http.StatusOK, tag: "dlq",
		summary: "List dead letters, the newest first", problems: []int{bad},
	},
	app.GetDeadLetter: {
		method: http.MethodGet, path: "/v1/dlq/task/{task_uuid}", status: http.StatusOK, tag: "dlq",
		summary: "Read the newest dead letter of a task", problems: []int{bad, missing},
	},
	app.FileDeadLetter: {
		method: http.MethodPost, path: "/v1/dlq/task/{task_uuid}", status: http.StatusCreated, tag: "dlq",
		summary: "Make a task a dead letter by hand", problems: []int{missing, conflict}, body: ActionBody{}, optional: true,
	},
	app.UpdateDeadLetter: {
		method: http.MethodPatch, path: "/v1/dlq/entry/{dlq_entry_uuid}", status: http.StatusOK, tag: "dlq",
		summary:     "Note what an investigation found",
		description: "A status other than Pending closes the dead letter. The task itself stays as it is. What is not given stays as it is.",
		problems:    []int{missing}, body: UpdateDlqBody{},
	},
	app.ListDeadLetterFailures: {
		method: http.MethodGet, path: "/v1/dlq/entry/{dlq_entry_uuid}/failures", status: http.StatusOK, tag: "dlq",
		summary: "List the failures in a dead letter, the oldest first", problems: []int{bad, missing},
	},
	app.ResumeDeadLetter: {
		method: http.MethodPost, path: "/v1/dlq/entry/{dlq_entry_uuid}/resume", status: http.StatusOK, tag: "dlq",
		summary:     "Let the task of a dead letter go on",
		description: "Resets, skips or resolves its failed steps, all or none, and answers with the task. Doing so twice is refused with 400 dead_letter_closed.",
		problems:    []int{missing}, body: ResumeBody{}, optional: true,
	},
	app.ListDeadLetterGroups: {
		method: http.MethodGet, path: "/v1/dlq/groups", status: http.StatusOK, tag: "dlq",
		summary: "List failures of dead letters that are alike, those of most dead letters first", problems: []int{bad},
	},
	app.GetDeadLetterStats: {
		method: http.MethodGet, path: "/v1/dlq/stats", status: http.StatusOK, tag: "dlq", summary: "Count dead letters by reason",
	},
	app.GetInvestigationQueue: {
		method: http.MethodGet, path: "/v1/dlq/investigation-queue", status: http.StatusOK, tag: "dlq",
		summary: "List open dead letters, the most urgent first", problems: []int{bad},
	},
	app.GetStaleness: {
		method: http.MethodGet, path: "/v1/dlq/staleness", status: http.StatusOK, tag: "dlq",
		summary: "List open tasks by how long they have stood still", problems: []int{bad},
	},
	app.ResumeDeadLetters: {
		method: http.MethodPost, path: "/v1/dlq/resumes", status: http.StatusAccepted, also: http.StatusOK, tag: "dlq",
		summary:     "Begin to resume many dead letters",
		description: "Goes on in the background, a canary share first where one is asked for. With dry_run it only counts, and answers 200.",
		body:        BulkResumeBody{},
	},
	app.ListResumes: {
		method: http.MethodGet, path: "/v1/dlq/resumes", status: http.StatusOK, tag: "dlq",
		summary: "List bulk resumes, the newest first", problems: []int{bad},
	},
	app.GetResume: {
		method: http.MethodGet, path: "/v1/dlq/resumes/{resume_uuid}", status: http.StatusOK, tag: "dlq",
		summary: "How far a bulk resume has come", problems: []int{bad, missing},
	},
	app.CancelResume: {
		method: http.MethodDelete, path: "/v1/dlq/resumes/{resume_uuid}", status: http.StatusOK, tag: "dlq",
		summary: "Stop a bulk resume", description: "What was resumed goes on.", problems: []int{bad, missing},
	},
}
