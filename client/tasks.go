package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"
)

// JSON is a JSON value as it was sent. Over gRPC numbers are doubles.
type JSON = json.RawMessage

// OnDuplicate says what happens to a task whose identity exists.
type OnDuplicate string

// What may happen: it is refused with ErrTaskExists, or the one that exists is
// returned.
const (
	Reject OnDuplicate = "reject"
	Return OnDuplicate = "return"
)

// NewTask is a task to create. Name, Namespace and Version are required.
type NewTask struct {
	Name, Namespace, Version string

	Context             any // what marshals to a JSON object; nil for {}
	Initiator           string
	SourceSystem        string
	Reason              string
	Priority            int32 // −100 to 100; larger runs sooner
	Tags                []string
	CorrelationID       string // a UUID; made when empty
	ParentCorrelationID string
	IdempotencyKey      string // the identity, in place of the context
	OnDuplicate         OnDuplicate
	StartAt             time.Time     // nothing of it runs before; zero for at once
	Delay               time.Duration // the same, counted from when the server hears of it
	Deadline            time.Time     // it fails if it has not ended by then; zero for what the template says

	// StrictIdentity says that the template tells tasks apart by their context,
	// as most do: then a create is tried again without an IdempotencyKey, too.
	StrictIdentity bool
	// Wait is how long CreateTask waits for the task to end; 0 for not at all.
	Wait time.Duration
}

// TaskState is the state of a task.
type TaskState string

// The states of tasks.
const (
	TaskPending                TaskState = "pending"
	TaskInitializing           TaskState = "initializing"
	TaskEnqueuingSteps         TaskState = "enqueuing_steps"
	TaskStepsInProcess         TaskState = "steps_in_process"
	TaskEvaluatingResults      TaskState = "evaluating_results"
	TaskWaitingForDependencies TaskState = "waiting_for_dependencies"
	TaskWaitingForRetry        TaskState = "waiting_for_retry"
	TaskBlockedByFailures      TaskState = "blocked_by_failures"
	TaskComplete               TaskState = "complete"
	TaskError                  TaskState = "error"
	TaskCancelled              TaskState = "cancelled"
	TaskResolvedManually       TaskState = "resolved_manually"
)

// Ended reports whether the task has come to its end.
func (s TaskState) Ended() bool {
	return s == TaskComplete || s == TaskError || s == TaskCancelled || s == TaskResolvedManually
}

// Task is a task as it stands. Times that there are not are zero.
type Task struct {
	ID                   string    `json:"task_uuid"`
	Name                 string    `json:"name"`
	Namespace            string    `json:"namespace"`
	Version              string    `json:"version"`
	State                TaskState `json:"status"`
	CreatedAt            time.Time `json:"created_at"`
	UpdatedAt            time.Time `json:"updated_at"`
	CompletedAt          time.Time `json:"completed_at"`
	StartAt              time.Time `json:"start_at"`
	Deadline             time.Time `json:"deadline"`
	Context              JSON      `json:"context"`
	Initiator            string    `json:"initiator"`
	SourceSystem         string    `json:"source_system"`
	Reason               string    `json:"reason"`
	Priority             int32     `json:"priority"`
	Tags                 []string  `json:"tags"`
	CorrelationID        string    `json:"correlation_id"`
	ParentCorrelationID  string    `json:"parent_correlation_id"`
	TotalSteps           int       `json:"total_steps"`
	PendingSteps         int       `json:"pending_steps"`
	InProgressSteps      int       `json:"in_progress_steps"`
	CompletedSteps       int       `json:"completed_steps"`
	FailedSteps          int       `json:"failed_steps"`
	ReadySteps           int       `json:"ready_steps"` // 0 in lists
	ExecutionStatus      string    `json:"execution_status"`
	RecommendedAction    string    `json:"recommended_action"`
	HealthStatus         string    `json:"health_status"`
	CompletionPercentage float64   `json:"completion_percentage"`

	Steps   []StepStatus `json:"-"` // in the order of the template; of GetTask and WaitTask alone
	Existed bool         `json:"-"` // of CreateTask: it was there before
}

// Said is who acts, and why: both are kept in the history. An empty By is whose
// credentials they are.
type Said struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// CreateTask creates a task. It is stored when there is an answer.
//
// After an attempt of unknown outcome, the call is made again if the task has an
// IdempotencyKey or StrictIdentity; a task that then exists is taken for the one
// that the attempt made, and has Existed set.
func (c *Client) CreateTask(ctx context.Context, t NewTask) (Task, error) {
	again := ifUntouched
	if t.IdempotencyKey != "" || t.StrictIdentity {
		again = anyway
	}
	unsure := false
	made, err := do(ctx, c, again, func(ctx context.Context) (Task, error) {
		r := t
		if unsure {
			r.OnDuplicate = Return
		}
		made, err := c.t.createTask(ctx, &r)
		var e *Error
		if errors.As(err, &e) && e.Retryable() && !e.before {
			unsure = true
		}
		return made, err
	})
	if err != nil || t.Wait <= 0 || made.State.Ended() {
		return made, err
	}
	waiting, stop := context.WithTimeout(ctx, t.Wait)
	defer stop()
	// It was created, whatever becomes of the wait.
	if later, err := c.WaitTask(waiting, made.ID); err == nil {
		later.Existed, later.Steps = made.Existed, nil
		return later, nil
	}
	if ctx.Err() == nil {
		if later, err := c.GetTask(ctx, made.ID); err == nil {
			later.Existed, later.Steps = made.Existed, nil
			return later, nil
		}
	}
	return made, nil
}

// GetTask reads a task and its steps.
func (c *Client) GetTask(ctx context.Context, id string) (Task, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (Task, error) { return c.t.getTask(ctx, id) })
}

// TaskFilter selects tasks; what is empty selects all.
type TaskFilter struct {
	Namespace, Name, Version string
	States                   []TaskState // any of them
	Initiator, SourceSystem  string
	Tags                     []string // all of them
	CorrelationID            string
	Error                    string // text in the message or type of a failure

	CreatedAfter, CreatedBefore     time.Time // after is from then on
	UpdatedAfter, UpdatedBefore     time.Time
	CompletedAfter, CompletedBefore time.Time
}

// Total says how well a list is counted.
type Total string

// The ways to count: an estimate is exact where that is cheap.
const (
	EstimateTotal Total = "estimate"
	ExactTotal    Total = "exact"
	NoTotal       Total = "none"
)

// TaskQuery selects, sorts and counts tasks.
type TaskQuery struct {
	TaskFilter
	Sort      string // created_at, updated_at or completed_at; empty for created_at
	Ascending bool   // the oldest first
	PerPage   int    // 1 to 100; 0 for 100
	Total     Total  // empty for an estimate
}

// TaskPage is a page of tasks.
type TaskPage struct {
	Tasks           []Task
	Total           int64 // −1 when it was not counted
	TotalIsEstimate bool  // there are Total or more
	Next            string
}

// TaskPage reads a page; cursor is Next of the page before, or empty. A page may
// be short, or empty, and have a Next.
//
// Over REST, where the word pending means all that is not complete, a list by
// TaskPending has no total and reads more than it gives.
func (c *Client) TaskPage(ctx context.Context, q TaskQuery, cursor string) (TaskPage, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (TaskPage, error) { return c.t.listTasks(ctx, &q, cursor) })
}

// ListTasks goes through all tasks that the query selects, page by page. It ends
// after an error.
func (c *Client) ListTasks(ctx context.Context, q TaskQuery) iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		if q.Total == "" {
			q.Total = NoTotal // nobody is told
		}
		for cursor := ""; ; {
			page, err := c.TaskPage(ctx, q, cursor)
			if err != nil {
				yield(Task{}, err)
				return
			}
			for i := range page.Tasks {
				if !yield(page.Tasks[i], nil) {
					return
				}
			}
			if cursor = page.Next; cursor == "" {
				return
			}
		}
	}
}

// CancelTask cancels every step that is not done, then the task. One that has
// ended is ErrTaskFinished.
func (c *Client) CancelTask(ctx context.Context, id, reason string) (Task, error) {
	return do(ctx, c, ifUntouched, func(ctx context.Context) (Task, error) { return c.t.cancelTask(ctx, id, reason) })
}

// RetryTask runs all failed steps again; it revives a task in error, too.
func (c *Client) RetryTask(ctx context.Context, id string, s Said) (Task, error) {
	return c.act(ctx, retry, id, s)
}

// GiveUpTask ends a task that is blocked by failures, in error.
func (c *Client) GiveUpTask(ctx context.Context, id string, s Said) (Task, error) {
	return c.act(ctx, giveUp, id, s)
}

// ResolveTask ends a task as resolved by hand, with all its open steps.
func (c *Client) ResolveTask(ctx context.Context, id string, s Said) (Task, error) {
	return c.act(ctx, resolve, id, s)
}

func (c *Client) act(ctx context.Context, act taskAct, id string, s Said) (Task, error) {
	return do(ctx, c, ifUntouched, func(ctx context.Context) (Task, error) { return c.t.actOnTask(ctx, act, id, s) })
}

// Pause holds steps back.
type Pause struct {
	Kind      string    `json:"kind"` // task, template or namespace
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Version   string    `json:"version"`
	TaskID    string    `json:"task_uuid"`
	By        string    `json:"by"`
	Reason    string    `json:"reason"`
	Since     time.Time `json:"since"`
}

// PauseTask holds back the steps of a task that wait; what runs is let finish.
// What is paused already stays as it is.
func (c *Client) PauseTask(ctx context.Context, id string, s Said) (Pause, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (Pause, error) { return c.t.pauseTask(ctx, id, s) })
}

// ResumeTask ends the pause of a task, and reports whether there was one.
func (c *Client) ResumeTask(ctx context.Context, id string, s Said) (bool, error) {
	return do(ctx, c, ifUntouched, func(ctx context.Context) (bool, error) { return c.t.resumeTask(ctx, id, s) })
}

// WaitTask waits until a task has ended, or is in one of the states, and returns
// it. It waits as long as the context lets it.
func (c *Client) WaitTask(ctx context.Context, id string, until ...TaskState) (Task, error) {
	return attempt(ctx, c, 0, anyway, func(ctx context.Context) (Task, error) { return c.t.awaitTask(ctx, id, until) })
}
