package client

import (
	"context"
	"time"
)

// StepState is the state of a step.
type StepState string

// The states of steps.
const (
	StepPending                         StepState = "pending"
	StepEnqueued                        StepState = "enqueued"
	StepInProgress                      StepState = "in_progress"
	StepEnqueuedForOrchestration        StepState = "enqueued_for_orchestration"
	StepEnqueuedAsErrorForOrchestration StepState = "enqueued_as_error_for_orchestration"
	StepWaitingForRetry                 StepState = "waiting_for_retry"
	StepComplete                        StepState = "complete"
	StepError                           StepState = "error"
	StepCancelled                       StepState = "cancelled"
	StepResolvedManually                StepState = "resolved_manually"
)

// StepStatus is where a step stands.
type StepStatus struct {
	ID                    string    `json:"step_uuid"`
	TaskID                string    `json:"task_uuid"`
	Name                  string    `json:"name"`
	State                 StepState `json:"current_state"`
	DependenciesSatisfied bool      `json:"dependencies_satisfied"`
	RetryEligible         bool      `json:"retry_eligible"`
	ReadyForExecution     bool      `json:"ready_for_execution"`
	TotalParents          int       `json:"total_parents"`
	CompletedParents      int       `json:"completed_parents"`
	Attempts              int       `json:"attempts"`
	MaxAttempts           int       `json:"max_attempts"`
	LastFailureAt         time.Time `json:"last_failure_at"`
	NextRetryAt           time.Time `json:"next_retry_at"`
	LastAttemptedAt       time.Time `json:"last_attempted_at"`
}

// Step is a step with what it reported.
type Step struct {
	StepStatus
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	CompletedAt time.Time `json:"completed_at"`
	Results     JSON      `json:"results"` // success, result, error, metadata; nil before the first report
}

// StepActionKind is what is done to a step by hand.
type StepActionKind string

// What can be done: run it again with its attempts counted anew, count it as done
// without a result, or complete it with one.
const (
	ResetForRetry    StepActionKind = "reset_for_retry"
	ResolveManually  StepActionKind = "resolve_manually"
	CompleteManually StepActionKind = "complete_manually"
)

// StepAction settles a step by hand.
type StepAction struct {
	Kind StepActionKind
	Said
	Result   any // with CompleteManually: marshals to a JSON object
	Metadata any // with CompleteManually: the same, or nil
	Inputs   any // with ResetForRetry: what the handler gets from now on; nil for as before
}

// AuditRow is what a worker reported of a step, or somebody did to it.
type AuditRow struct {
	ID              string      `json:"audit_uuid"`
	StepID          string      `json:"workflow_step_uuid"`
	TransitionID    string      `json:"transition_uuid"`
	TaskID          string      `json:"task_uuid"`
	RecordedAt      time.Time   `json:"recorded_at"`
	Success         bool        `json:"success"`
	ExecutionTimeMS int64       `json:"execution_time_ms"`
	Result          JSON        `json:"result"`
	StepName        string      `json:"step_name"`
	FromState       StepState   `json:"from_state"`
	ToState         StepState   `json:"to_state"`
	Path            []StepState `json:"path"`
	Attempt         int         `json:"attempt"`
	Dispatch        int         `json:"dispatch"`
	Server          int         `json:"server"`
	By              string      `json:"by"`
	Reason          string      `json:"reason"`
	Error           JSON        `json:"error"`
}

// ListSteps lists the steps of a task, in the order of its template.
func (c *Client) ListSteps(ctx context.Context, task string) ([]Step, error) {
	return do(ctx, c, anyway, func(ctx context.Context) ([]Step, error) { return c.t.listSteps(ctx, task) })
}

// GetStep reads a step.
func (c *Client) GetStep(ctx context.Context, task, step string) (Step, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (Step, error) { return c.t.getStep(ctx, task, step) })
}

// ActOnStep settles a step by hand; the task moves on by itself. What the state
// of the step does not allow is ErrIllegalTransition.
func (c *Client) ActOnStep(ctx context.Context, task, step string, a StepAction) (Step, error) {
	return do(ctx, c, ifUntouched, func(ctx context.Context) (Step, error) { return c.t.actOnStep(ctx, task, step, &a) })
}

// StepAudit returns the history of a step, the newest first.
func (c *Client) StepAudit(ctx context.Context, task, step string) ([]AuditRow, error) {
	return do(ctx, c, anyway, func(ctx context.Context) ([]AuditRow, error) { return c.t.stepAudit(ctx, task, step) })
}
