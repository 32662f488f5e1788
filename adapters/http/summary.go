package http

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/template"
)

// TaskSummary is a task on one page.
type TaskSummary struct {
	Task     SummaryTask     `json:"task"`
	Template SummaryTemplate `json:"template"`
	Steps    []SummaryStep   `json:"steps" nullable:"false"`
	DLQ      SummaryDLQ      `json:"dlq"`
	Links    SummaryLinks    `json:"links"`
}

// SummaryTask is the task itself.
type SummaryTask struct {
	TaskUUID             string     `json:"task_uuid" format:"uuid"`
	Name                 string     `json:"name"`
	Namespace            string     `json:"namespace"`
	Version              string     `json:"version"`
	Status               string     `json:"status" doc:"State of the task."`
	CreatedAt            time.Time  `json:"created_at"`
	UpdatedAt            time.Time  `json:"updated_at"`
	CompletedAt          *time.Time `json:"completed_at" doc:"When it ended; null before."`
	Initiator            string     `json:"initiator"`
	SourceSystem         string     `json:"source_system"`
	Reason               string     `json:"reason"`
	CorrelationID        string     `json:"correlation_id" format:"uuid"`
	TotalSteps           int32      `json:"total_steps"`
	PendingSteps         int32      `json:"pending_steps"`
	InProgressSteps      int32      `json:"in_progress_steps"`
	CompletedSteps       int32      `json:"completed_steps"`
	FailedSteps          int32      `json:"failed_steps"`
	CompletionPercentage decimal    `json:"completion_percentage"`
	HealthStatus         string     `json:"health_status"`
	ExecutionStatus      string     `json:"execution_status"`
	RecommendedAction    *string    `json:"recommended_action"`
}

// SummaryTemplate is the template that the task was made from.
type SummaryTemplate struct {
	Steps []SummaryTemplateStep `json:"steps" nullable:"false"`
}

// SummaryTemplateStep is a step as the template defines it.
type SummaryTemplateStep struct {
	Name         string   `json:"name"`
	StepType     string   `json:"step_type"`
	Handler      string   `json:"handler"`
	Dependencies []string `json:"dependencies" nullable:"false"`
	Retryable    bool     `json:"retryable"`
	MaxAttempts  int      `json:"max_attempts"`
}

// SummaryStep is a step of the task.
type SummaryStep struct {
	StepUUID              string        `json:"step_uuid" format:"uuid"`
	Name                  string        `json:"name"`
	CurrentState          string        `json:"current_state"`
	CreatedAt             *time.Time    `json:"created_at"`
	CompletedAt           *time.Time    `json:"completed_at"`
	LastAttemptedAt       *time.Time    `json:"last_attempted_at"`
	Attempts              int32         `json:"attempts"`
	MaxAttempts           int32         `json:"max_attempts"`
	DependenciesSatisfied bool          `json:"dependencies_satisfied"`
	RetryEligible         bool          `json:"retry_eligible"`
	Error                 *SummaryError `json:"error" doc:"Why the last attempt failed; null for none."`
}

// SummaryError is why a step failed.
type SummaryError struct {
	ErrorType  *string `json:"error_type"`
	Retryable  bool    `json:"retryable"`
	StatusCode *int    `json:"status_code"`
}

// SummaryDLQ says whether the task is a dead letter.
type SummaryDLQ struct {
	InDLQ            bool    `json:"in_dlq" doc:"A dead letter of the task is pending."`
	DlqReason        *string `json:"dlq_reason" doc:"Of the newest dead letter, in snake_case; null for none."`
	ResolutionStatus *string `json:"resolution_status" doc:"Of the newest dead letter, in snake_case; null for none."`
}

// SummaryLinks is where to read on.
type SummaryLinks struct {
	Task  string `json:"task"`
	Steps string `json:"steps"`
	DLQ   string `json:"dlq"`
}

// TaskContextResponse is what a task works on.
type TaskContextResponse struct {
	Inputs         document `json:"inputs" doc:"What the task was made with."`
	Outputs        document `json:"outputs" doc:"Results of its finished steps, by name."`
	Merged         document `json:"merged" doc:"Inputs with outputs laid over them."`
	OmittedOutputs []string `json:"omitted_outputs" nullable:"false" doc:"Finished steps whose results there was no room for (512 KiB in all): each can be read by itself."`
}

func registerSummary(a *api, s Service) {
	register(a, app.GetTaskSummary, func(ctx context.Context, in *taskInput) (*read[TaskSummary], error) {
		id, err := taskID(in.UUID)
		if err != nil {
			return nil, err
		}
		sum, err := s.GetTaskSummary(ctx, id)
		if err != nil {
			return nil, err
		}
		return &read[TaskSummary]{Body: taskSummary(&sum)}, nil
	})
	register(a, app.GetTaskContext, func(ctx context.Context, in *taskInput) (*read[TaskContextResponse], error) {
		id, err := taskID(in.UUID)
		if err != nil {
			return nil, err
		}
		c, err := s.GetTaskContext(ctx, id)
		if err != nil {
			return nil, err
		}
		return taskContext(&c)
	})
}

func taskSummary(s *app.Summary) TaskSummary {
	t := &s.Task
	id := t.ID.String()
	out := TaskSummary{
		Task: SummaryTask{
			TaskUUID: id, Name: t.Name, Namespace: t.Namespace, Version: t.Version, Status: t.TaskRecord.State.String(),
			CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(), CompletedAt: when(t.CompletedAt),
			Initiator: t.Initiator, SourceSystem: t.SourceSystem, Reason: t.Reason, CorrelationID: t.CorrelationID.String(),
			TotalSteps: t.Counts.Total, PendingSteps: t.Pending, InProgressSteps: t.InProgress, CompletedSteps: t.Completed,
			FailedSteps: t.Counts.Failed, CompletionPercentage: decimal(t.Percentage()),
			HealthStatus: t.Health, ExecutionStatus: t.Execution, RecommendedAction: given(t.Action),
		},
		Template: SummaryTemplate{Steps: summaryTemplate(s.Template)},
		Steps:    make([]SummaryStep, len(t.Steps)),
		Links:    SummaryLinks{Task: "/v1/tasks/" + id, Steps: "/v1/tasks/" + id + "/workflow_steps", DLQ: "/v1/dlq"},
	}
	for i := range t.Steps {
		out.Steps[i] = summaryStep(&t.Steps[i])
	}
	if l := s.Letter; l != nil {
		out.DLQ = SummaryDLQ{
			InDLQ: l.Status == deadletter.Pending, DlqReason: given(l.Reason.String()), ResolutionStatus: given(l.Status.String()),
		}
	}
	return out
}

func summaryTemplate(t *template.Template) []SummaryTemplateStep {
	if t == nil {
		return []SummaryTemplateStep{}
	}
	out := make([]SummaryTemplateStep, len(t.Steps))
	for i := range t.Steps {
		s := &t.Steps[i]
		out[i] = SummaryTemplateStep{
			Name: s.Name, StepType: string(s.Type), Handler: s.Handler.Callable, Dependencies: append([]string{}, s.Dependencies...),
			Retryable: s.Retry.Retryable, MaxAttempts: s.Retry.MaxAttempts,
		}
	}
	return out
}

func summaryStep(s *app.Step) SummaryStep {
	out := SummaryStep{
		StepUUID: s.Ref.ID().String(), Name: s.Name, CurrentState: s.StepRecord.State.String(), CreatedAt: when(s.CreatedAt),
		CompletedAt: when(s.CompletedAt), LastAttemptedAt: when(s.LastAttemptedAt), Attempts: s.StepRecord.Attempts,
		MaxAttempts: s.StepRecord.MaxAttempts, DependenciesSatisfied: s.DependenciesSatisfied(), RetryEligible: s.RetryEligible(),
	}
	if f := s.LastFailure(); f != nil {
		out.Error = &SummaryError{ErrorType: given(f.Type), Retryable: f.Retryable}
		if f.StatusCode != 0 {
			out.Error.StatusCode = &f.StatusCode
		}
	}
	return out
}

func taskContext(c *app.TaskContext) (*read[TaskContextResponse], error) {
	merged, err := c.Merged()
	if err != nil {
		return nil, err
	}
	out := &read[TaskContextResponse]{Body: TaskContextResponse{
		Inputs: document(c.Inputs), OmittedOutputs: append([]string{}, c.Omitted...),
	}}
	if out.Body.Outputs, err = json.Marshal(c.Outputs); err != nil {
		return nil, err
	}
	out.Body.Merged, err = json.Marshal(merged)
	return out, err
}
