package client

import (
	"context"
	"time"
)

// Why says why something is where it is, and what would unblock it.
type Why struct {
	Code     string      `json:"code"`
	Sentence string      `json:"sentence"`
	Unblock  string      `json:"unblock"`
	Also     []string    `json:"also"`    // what else holds it up
	Actions  []WhyAction `json:"actions"` // together they remove what Code says
	Instead  []WhyAction `json:"instead"` // each would do alone
}

// WhyAction is a thing to do.
type WhyAction struct {
	Kind    string    `json:"kind"`
	StepID  string    `json:"step_uuid"`
	Handler string    `json:"handler"`
	Until   time.Time `json:"until"`
	Pause   *WhyPause `json:"pause"`
}

// WhyPause is a pause that holds a task back.
type WhyPause struct {
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
}

// WhyStep is a step by id and name.
type WhyStep struct {
	ID   string `json:"step_uuid"`
	Name string `json:"name"`
}

// WhyLetter is an open dead letter.
type WhyLetter struct {
	ID     string    `json:"dlq_entry_uuid"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Explanation says why a task and its unfinished steps are where they are.
type Explanation struct {
	TaskID string `json:"task_uuid"`
	Why
	DeadLetter   *WhyLetter        `json:"dead_letter"`
	CriticalPath []WhyStep         `json:"critical_path"`
	Steps        []StepExplanation `json:"steps"`
}

// StepExplanation says why a step is where it is.
type StepExplanation struct {
	WhyStep
	State StepState `json:"current_state"`
	Why
	WaitingFor     []WhyStep  `json:"waiting_for"`
	Attempt        int        `json:"attempt"`
	MaxAttempts    int        `json:"max_attempts"`
	RetryAt        time.Time  `json:"retry_at"`
	LeaseHolder    string     `json:"lease_holder"`
	LeaseUntil     time.Time  `json:"lease_until"`
	Pauses         []WhyPause `json:"pauses"`
	Handler        string     `json:"handler"`
	LastErrorType  string     `json:"last_error_type"`
	LastError      string     `json:"last_error"`
	DeadLetteredAt time.Time  `json:"dead_lettered_at"`
}

// ExplainTask says why a task is where it is, and what would unblock it.
func (c *Client) ExplainTask(ctx context.Context, id string) (Explanation, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (Explanation, error) { return c.t.explainTask(ctx, id) })
}
