package ports

import (
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
)

// TaskFilter selects tasks: those that fit all that is set. Zero fields select
// all. Spans of time hold their beginning and not their end.
type TaskFilter struct {
	Namespace     string
	Within        []string // only in one of these namespaces; nil for all
	Name          string
	Version       string
	Initiator     string
	SourceSystem  string
	CorrelationID uuid.NullUUID
	States        []task.State
	Tags          []string // all of them
	// Error is text that a failure has in its message or type, in capitals or
	// not: the last one of a step that is in error or waits for its retry, or
	// any that a dead letter of the task holds.
	Error                         string
	From, Until                   time.Time // of creation
	UpdatedFrom, UpdatedUntil     time.Time
	CompletedFrom, CompletedUntil time.Time // tasks that have not ended are in none
}

// TaskOrder is what a list goes by.
type TaskOrder uint8

// The orders.
const (
	ByCreation TaskOrder = iota // by id, which grows with the time of creation
	// ByUpdate goes by the last change. A task that changes between two pages
	// may be on both or on neither: it has another place then.
	ByUpdate
	ByCompletion // tasks that have not ended are left out
)

// TaskMark is a place in a list: after a task. The zero mark is the beginning.
type TaskMark struct {
	At time.Time // what the list goes by; zero in a list by creation
	ID ident.TaskID
}

// IsZero tells the beginning of a list.
func (m TaskMark) IsZero() bool { return m.ID.IsZero() }

// TotalMode says how well to count.
type TotalMode uint8

// The modes.
const (
	NoTotal    TotalMode = iota
	CheapTotal           // exact where that is cheap, else at least so many
	ExactTotal           // whatever it costs
	totalModes           // how many there are
)

// Valid tells the modes that there are.
func (m TotalMode) Valid() bool { return m < totalModes }

// TaskPage asks for a page: what comes after a mark, or after Skip others.
type TaskPage struct {
	Order     TaskOrder
	Ascending bool // the oldest first, else the newest
	After     TaskMark
	Skip      int // costs as much as reading those; not limited by Budget
	Limit     int
	Total     TotalMode
	// Budget is how many tasks may be looked at, about, where no index answers
	// the filter; 0 leaves it to the adapter, negative is without limit. A page
	// may be short for it, and Next still be set.
	Budget int
}

// TaskList is a page of tasks.
type TaskList struct {
	Tasks   []TaskRecord
	Total   int64 // -1 unless it was asked for
	AtLeast bool  // there are Total tasks or more
	// Next is where to go on. Only the zero mark says that nothing follows: a
	// page that is short, or even empty, says that much was searched without
	// finding more.
	Next TaskMark
}
