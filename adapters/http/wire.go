package http

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/task"
)

// TaskResponse is a task. Times are in UTC.
type TaskResponse struct {
	TaskUUID             string             `json:"task_uuid" format:"uuid"`
	Name                 string             `json:"name" doc:"Name of the template."`
	Namespace            string             `json:"namespace"`
	Version              string             `json:"version"`
	Status               string             `json:"status" enum:"pending,initializing,enqueuing_steps,steps_in_process,evaluating_results,waiting_for_dependencies,waiting_for_retry,blocked_by_failures,complete,error,cancelled,resolved_manually" doc:"State of the task."`
	CreatedAt            time.Time          `json:"created_at"`
	UpdatedAt            time.Time          `json:"updated_at"`
	CompletedAt          *time.Time         `json:"completed_at" doc:"When it ended; null before."`
	StartAt              *time.Time         `json:"start_at" doc:"Nothing of it runs before; null for none."`
	Deadline             *time.Time         `json:"deadline" doc:"It fails if it has not ended by then; null for none."`
	Context              document           `json:"context" doc:"What the task works on."`
	Initiator            string             `json:"initiator"`
	SourceSystem         string             `json:"source_system"`
	Reason               string             `json:"reason"`
	Priority             int32              `json:"priority"`
	Tags                 []string           `json:"tags" doc:"Null when none were given."`
	CorrelationID        string             `json:"correlation_id" format:"uuid"`
	ParentCorrelationID  *string            `json:"parent_correlation_id" format:"uuid"`
	TotalSteps           int32              `json:"total_steps"`
	PendingSteps         int32              `json:"pending_steps"`
	InProgressSteps      int32              `json:"in_progress_steps"`
	CompletedSteps       int32              `json:"completed_steps" doc:"Complete or resolved by hand."`
	FailedSteps          int32              `json:"failed_steps"`
	ReadySteps           int32              `json:"ready_steps" doc:"Could start now, and are not in a queue. 0 in lists."`
	ExecutionStatus      string             `json:"execution_status" enum:"has_ready_steps,processing,blocked_by_failures,all_complete,waiting_for_dependencies"`
	RecommendedAction    string             `json:"recommended_action" enum:"execute_ready_steps,wait_for_completion,handle_failures,finalize_task,wait_for_dependencies,none"`
	HealthStatus         string             `json:"health_status" enum:"healthy,recovering,blocked,unknown"`
	CompletionPercentage decimal            `json:"completion_percentage"`
	Steps                []TaskStepResponse `json:"steps" nullable:"false" doc:"In the order of the template; empty in lists."`
}

// StepFacts is what both forms of a step say.
type StepFacts struct {
	Name                  string     `json:"name"`
	CurrentState          string     `json:"current_state" enum:"pending,enqueued,in_progress,enqueued_for_orchestration,enqueued_as_error_for_orchestration,waiting_for_retry,complete,error,cancelled,resolved_manually"`
	DependenciesSatisfied bool       `json:"dependencies_satisfied"`
	RetryEligible         bool       `json:"retry_eligible"`
	ReadyForExecution     bool       `json:"ready_for_execution" doc:"Could start now, and is not in a queue."`
	TotalParents          int32      `json:"total_parents"`
	CompletedParents      int32      `json:"completed_parents"`
	Attempts              int32      `json:"attempts"`
	MaxAttempts           int32      `json:"max_attempts"`
	LastFailureAt         *time.Time `json:"last_failure_at"`
	NextRetryAt           *time.Time `json:"next_retry_at"`
	LastAttemptedAt       *time.Time `json:"last_attempted_at"`
}

// TaskStepResponse is a step within its task.
type TaskStepResponse struct {
	WorkflowStepUUID string `json:"workflow_step_uuid" format:"uuid"`
	TaskUUID         string `json:"task_uuid" format:"uuid"`
	NamedStepUUID    string `json:"named_step_uuid" format:"uuid" doc:"The step of the template: the same in all its tasks."`
	StepFacts
	BackoffRequestSeconds *int32 `json:"backoff_request_seconds" doc:"Always null: next_retry_at says it."`
}

// StepResponse is a step and its result.
type StepResponse struct {
	StepUUID string `json:"step_uuid" format:"uuid"`
	TaskUUID string `json:"task_uuid" format:"uuid"`
	StepFacts
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	CompletedAt *time.Time `json:"completed_at"`
	Results     anyJSON    `json:"results" doc:"What the last attempt reported: success, result, error, metadata. Null before the first."`
}

// document is a JSON object that passes through as it is.
type document json.RawMessage

// MarshalJSON returns the object, {} for none.
func (d document) MarshalJSON() ([]byte, error) {
	if len(d) == 0 {
		return []byte("{}"), nil
	}
	return d, nil
}

// Schema implements huma.SchemaProvider.
func (document) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// anyJSON is a JSON value that passes through as it is.
type anyJSON json.RawMessage

// MarshalJSON returns the value, null for none.
func (a anyJSON) MarshalJSON() ([]byte, error) {
	if len(a) == 0 {
		return []byte("null"), nil
	}
	return a, nil
}

// Schema implements huma.SchemaProvider.
func (anyJSON) Schema(huma.Registry) *huma.Schema { return &huma.Schema{} }

// decimal is a number that always shows its decimal point.
type decimal float64

// MarshalJSON implements json.Marshaler.
func (p decimal) MarshalJSON() ([]byte, error) {
	b := strconv.AppendFloat(nil, float64(p), 'f', -1, 64)
	if bytes.IndexByte(b, '.') < 0 {
		b = append(b, '.', '0')
	}
	return b, nil
}

// Schema implements huma.SchemaProvider.
func (decimal) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Format: "double"}
}

func taskResponse(t *app.Task) TaskResponse {
	r := TaskResponse{
		TaskUUID: t.ID.String(), Name: t.Name, Namespace: t.Namespace, Version: t.Version, Status: t.TaskRecord.State.String(),
		CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(), CompletedAt: when(t.CompletedAt),
		StartAt: when(t.StartAt), Deadline: when(t.Deadline), Context: document(t.Context), Initiator: t.Initiator, SourceSystem: t.SourceSystem, Reason: t.Reason,
		Priority: t.Priority, Tags: t.Tags, CorrelationID: t.CorrelationID.String(),
		TotalSteps: t.Counts.Total, PendingSteps: t.Pending, InProgressSteps: t.InProgress, CompletedSteps: t.Completed,
		FailedSteps: t.Counts.Failed, ReadySteps: t.Ready,
		ExecutionStatus: t.Execution, RecommendedAction: t.Action, HealthStatus: t.Health,
		CompletionPercentage: decimal(t.Percentage()), Steps: make([]TaskStepResponse, len(t.Steps)),
	}
	if t.ParentCorrelationID.Valid {
		parent := t.ParentCorrelationID.UUID.String()
		r.ParentCorrelationID = &parent
	}
	name := task.Name{Namespace: t.Namespace, Name: t.Name, Version: t.Version}
	for i := range t.Steps {
		s := &t.Steps[i]
		r.Steps[i] = TaskStepResponse{
			WorkflowStepUUID: s.Ref.ID().String(), TaskUUID: r.TaskUUID, NamedStepUUID: namedStep(name, s.Name),
			StepFacts: stepFacts(s),
		}
	}
	return r
}

func stepResponse(s *app.Step) StepResponse {
	return StepResponse{
		StepUUID: s.Ref.ID().String(), TaskUUID: s.Ref.Task.String(), StepFacts: stepFacts(s),
		CreatedAt: s.CreatedAt.UTC(), UpdatedAt: s.UpdatedAt.UTC(), CompletedAt: when(s.CompletedAt), Results: anyJSON(s.Result),
	}
}

func stepFacts(s *app.Step) StepFacts {
	return StepFacts{
		Name: s.Name, CurrentState: s.StepRecord.State.String(), DependenciesSatisfied: s.DependenciesSatisfied(),
		RetryEligible: s.RetryEligible(), ReadyForExecution: s.Ready, TotalParents: s.Step.Parents,
		CompletedParents: s.CompletedParents(), Attempts: s.StepRecord.Attempts, MaxAttempts: s.StepRecord.MaxAttempts,
		LastFailureAt: when(s.LastFailureAt), NextRetryAt: when(s.StepRecord.NextRetryAt), LastAttemptedAt: when(s.LastAttemptedAt),
	}
}

// when returns a time in UTC, nil for the zero one.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// namedSteps is the space of the names that namedStep makes.
var namedSteps = uuid.MustParse("b1a5f0c2-6f0e-5c7e-9a53-0d6f7d3b5a11")

// namedStep names a step of a template: nothing is stored under it, and it is
// the same on every server.
func namedStep(name task.Name, step string) string {
	return uuid.NewSHA1(namedSteps, []byte(name.Namespace+"/"+name.Name+"/"+name.Version+"/"+step)).String()
}
