package ports

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// TaskRecord is a task as it is stored.
type TaskRecord struct {
	ID                       ident.TaskID
	Template                 ident.TemplateID
	Namespace, Name, Version string
	State                    task.State
	task.Counters
	CreatedAt, UpdatedAt time.Time
	CompletedAt          time.Time // zero while the task is not terminal
	RequestedAt          time.Time
	StartAt, Deadline    time.Time // zero for none
	Context              json.RawMessage
	Options              json.RawMessage // nil for none
	Tags                 []string
	Initiator            string
	SourceSystem         string
	Reason               string
	Priority             int32
	CorrelationID        uuid.UUID
	ParentCorrelationID  uuid.NullUUID
	// Steps per state, filled where the steps themselves are not read.
	PendingSteps, InProgressSteps, CompletedSteps int32
}

// StepRecord is a step as it is stored.
type StepRecord struct {
	Ref             ident.StepRef
	Def             int32
	Name            string
	State           step.State
	Parents         []int32
	OpenParents     int32
	Attempts        int32
	MaxAttempts     int32
	Dispatch        int32
	CreatedAt       time.Time
	UpdatedAt       time.Time
	CompletedAt     time.Time // zero while unsettled
	LastAttemptedAt time.Time // zero before the first attempt
	LastFailureAt   time.Time // zero for none
	NextRetryAt     time.Time // zero unless waiting for retry
	Value           json.RawMessage
	Failure         json.RawMessage // the last one: step.Failure as JSON; nil for none
	ElapsedMS       int32           // run time of the last attempt that was reported
}

// Outline is a task and its steps without documents, as they stand at one
// moment.
type Outline struct {
	Now       time.Time // of the database
	Template  ident.TemplateID
	Namespace string
	State     task.State
	task.Counters
	EnteredAt, StartAt, Deadline time.Time // the latter zero for none
	Letters                      int32
	LetterOpen                   bool
	Steps                        []OutlineStep
}

// OutlineStep is a step of an outline.
type OutlineStep struct {
	No, Def     int32
	Name        string
	State       step.State
	Parents     []int32
	OpenParents int32
	Attempts    int32
	MaxAttempts int32
	Losses      int32
	WakeAt      time.Time
	Since       time.Time // of its last change
	Holder      int32     // the server that runs it; 0 for none
	ErrorType   string    // of the last failure
	Error       string
}

// StepMove is a row of a step's history.
type StepMove struct {
	At                time.Time
	Server            int32
	Dispatch, Attempt int32
	From, To          step.State
	Path              []step.State
	Failure           json.RawMessage // nil for none
	By, Why           string
}

// TaskReads reads tasks and steps without locks, each call in one snapshot.
type TaskReads interface {
	// Task returns a task and its steps in the order of their numbers, or a
	// fault task_not_found.
	Task(ctx context.Context, id ident.TaskID) (TaskRecord, []StepRecord, error)
	// Outline returns a task without documents, or a fault task_not_found.
	Outline(ctx context.Context, id ident.TaskID) (Outline, error)
	// StepHistory returns what happened to a step, in order.
	StepHistory(ctx context.Context, ref ident.StepRef) ([]StepMove, error)
	// Tasks returns a page of the tasks that a filter selects.
	Tasks(ctx context.Context, f TaskFilter, p TaskPage) (TaskList, error)
	// States returns the states of tasks; unknown ids are left out.
	States(ctx context.Context, ids []ident.TaskID) (map[ident.TaskID]task.State, error)
	// Namespaces returns the namespaces of tasks; unknown ids are left out.
	Namespaces(ctx context.Context, ids []ident.TaskID) (map[ident.TaskID]string, error)
	// Results returns what steps of a task returned, by name; steps that have
	// no result are left out.
	Results(ctx context.Context, id ident.TaskID, names []string) ([]StepResult, error)
}

// StateCount is how many tasks or steps of a template are in a state.
type StateCount struct {
	Template                 ident.TemplateID
	Namespace, Name, Version string
	Kind                     string // "task" or "step"
	State                    string
	Count                    int64
}

// Statistics reads figures that metrics show.
type Statistics interface {
	// Counts returns the number of tasks and steps per template and state.
	Counts(ctx context.Context) ([]StateCount, error)
	// QueueDepths returns how many jobs wait per queue name.
	QueueDepths(ctx context.Context) (map[string]int64, error)
}

// Upkeep keeps the database in shape. One server at a time does the work; a
// call that finds another at it returns at once.
type Upkeep interface {
	// FoldCounts adds up the deltas of the counters.
	FoldCounts(ctx context.Context) error
	// PreparePartitions makes the partitions that history will need.
	PreparePartitions(ctx context.Context) error
}

// Prober asks whether the database answers.
type Prober interface {
	Ping(ctx context.Context) error
}
