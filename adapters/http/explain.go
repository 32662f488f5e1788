package http

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tasker-go/tasker/core/app"
)

// Why says why something does not move, and what would make it move.
type Why struct {
	Code     string      `json:"code" doc:"Why, for machines. Codes are never renamed."`
	Sentence string      `json:"sentence" doc:"The same for people."`
	Unblock  string      `json:"unblock" doc:"What would unblock it, for people."`
	Also     []string    `json:"also,omitempty" nullable:"false" doc:"What else holds it up, or will once code is out of the way."`
	Actions  []WhyAction `json:"actions,omitempty" nullable:"false" doc:"Together they remove what code says."`
	Instead  []WhyAction `json:"instead,omitempty" nullable:"false" doc:"Each of these would do alone."`
}

// WhyAction is a thing to do. What its kind does not use is left out.
type WhyAction struct {
	Kind     string     `json:"kind" enum:"wait,finish_parents,start_worker,resume,reset_step,resolve_step,retry_task,resolve_task"`
	StepUUID string     `json:"step_uuid,omitempty" format:"uuid" doc:"The step to act on."`
	Handler  string     `json:"handler,omitempty" doc:"What a worker has to declare."`
	Until    *time.Time `json:"until,omitempty" doc:"How long to wait."`
	Pause    *WhyPause  `json:"pause,omitempty" doc:"What to end."`
}

// WhyPause is a pause that holds a task back.
type WhyPause struct {
	Kind    string    `json:"kind" enum:"namespace,template,task"`
	Subject string    `json:"subject" doc:"Name of the namespace or template; empty for the task itself."`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
}

// WhyStep is a step by id and name.
type WhyStep struct {
	StepUUID string `json:"step_uuid" format:"uuid"`
	Name     string `json:"name"`
}

// WhyLetter is an open dead letter.
type WhyLetter struct {
	DlqEntryUUID string    `json:"dlq_entry_uuid" format:"uuid"`
	Reason       string    `json:"reason"`
	Since        time.Time `json:"since"`
}

// ExplanationResponse says why a task is where it is, and each unfinished step.
type ExplanationResponse struct {
	TaskUUID string `json:"task_uuid" format:"uuid"`
	Why
	DeadLetter   *WhyLetter        `json:"dead_letter,omitempty" doc:"The open one."`
	CriticalPath []WhyStep         `json:"critical_path" nullable:"false" doc:"The longest chain of unfinished steps, first to last."`
	Steps        []StepExplanation `json:"steps" nullable:"false" doc:"Those that are not finished."`
}

// StepExplanation says why a step is where it is.
type StepExplanation struct {
	WhyStep
	CurrentState string `json:"current_state"`
	Why
	WaitingFor     []WhyStep  `json:"waiting_for,omitempty" nullable:"false" doc:"Parents that are neither complete nor resolved by hand."`
	Attempt        int32      `json:"attempt" doc:"The running one, else the last one; 0 for none."`
	MaxAttempts    int32      `json:"max_attempts"`
	RetryAt        *time.Time `json:"retry_at,omitempty"`
	LeaseHolder    string     `json:"lease_holder,omitempty" doc:"Who runs it."`
	LeaseUntil     *time.Time `json:"lease_until,omitempty" doc:"Until when, unless the holder renews."`
	Pauses         []WhyPause `json:"pauses,omitempty" nullable:"false"`
	Handler        string     `json:"handler"`
	LastErrorType  string     `json:"last_error_type,omitempty"`
	LastError      string     `json:"last_error,omitempty"`
	DeadLetteredAt *time.Time `json:"dead_lettered_at,omitempty"`
}

// streamOutput is an answer that writes itself.
type streamOutput struct{ Body func(huma.Context) }

func registerExplain(a *api, s Service) {
	register(a, app.ExplainTask, func(ctx context.Context, in *taskInput) (*streamOutput, error) {
		id, err := taskID(in.UUID)
		if err != nil {
			return nil, err
		}
		e, err := s.ExplainTask(ctx, id)
		if err != nil {
			return nil, err
		}
		return &streamOutput{Body: func(hctx huma.Context) {
			hctx.SetHeader("Content-Type", "application/json")
			hctx.SetStatus(http.StatusOK)
			writeExplanation(hctx.BodyWriter(), id, &e)
		}}, nil
	})
}
