package audit

import (
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Case is a task with all its rows, as of one moment. A state that no machine
// knows is the zero State.
type Case struct {
	Task      Task
	Steps     []Step             // by number
	TaskMoves []Move[task.State] // by time
	StepMoves []StepMove         // by step, then time
	Jobs      []Job              // live ones
	Letters   []Letter
	Failures  []Failure
	Owners    map[int32]Owner // of leases, by their number; shared by all cases of a reading
}

// Task is a row of tasks.
type Task struct {
	ID            ident.TaskID
	Template      ident.TemplateID
	TemplateKnown bool // a row of templates
	State         task.State
	task.Counters
	WakeAt     time.Time // zero for never
	Letters    int32
	LetterOpen bool
	Paused     bool // it, its template or its namespace
}

// Step is a row of workflow_steps.
type Step struct {
	No          int32
	Name        string
	State       step.State
	OpenParents int32
	Attempts    int32
	MaxAttempts int32
	Dispatch    int32
	Leased      bool
	Owner       int32     // of the lease
	WakeAt      time.Time // zero for never
	Result      bool      // there is one
	Parents     []int32
}

// Move is a row of history.
type Move[S comparable] struct {
	At       time.Time
	From, To S
	Path     []S
}

// StepMove is a row of a step's history.
type StepMove struct {
	Move[step.State]
	No       int32
	Dispatch int32
	Attempt  int32
}

// Job is a job that waits in a queue, or is set aside.
type Job struct {
	ID       int64
	No       int32
	Dispatch int32
	Parked   bool
}

// Letter is a row of tasks_dlq.
type Letter struct {
	Ordinal    int32
	Open       bool
	ResolvedAt time.Time // zero while open
}

// Failure is a row of dlq_failures.
type Failure struct {
	No       int32
	Dispatch int32
}

// Owner is a server that may hold leases.
type Owner struct {
	Held    bool      // some connection of its is open
	Until   time.Time // when it has to renew; zero if it never has
	Started time.Time
}

// Limits say from when on lateness is a violation.
type Limits struct {
	Grace time.Duration // for what is due
	Lease time.Duration // for the leases of a server that is gone
}

// DefaultLimits suit a server with default settings.
func DefaultLimits() Limits { return Limits{Grace: 30 * time.Second, Lease: time.Minute} }

// Strays are what was found wrong in the database as a whole.
type Strays struct {
	Counts     []Count
	Identities []Identity
	Jobs       []StrayJob
	Rows       []Ownerless
}

// Count is a number that is not the real one.
type Count struct {
	Template      ident.TemplateID
	Kind          string // "task" or "step"
	State         string
	Counted, Real int64
}

// Identity is one that names a task which does not exist.
type Identity struct {
	Hash string // hexadecimal
	Task ident.TaskID
}

// StrayJob is the job of a step whose task does not exist, or a job in a state
// that no job of a step has.
type StrayJob struct {
	ID          int64
	Queue       string
	State       string // River's
	Args        string
	TaskUnknown bool
}

// Ownerless is rows of a task that does not exist.
type Ownerless struct {
	Table string
	Task  ident.TaskID
	Rows  int64
}
