package ports

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Move is a change of state in a task's history: of one of its steps, or, with
// number 0, of the task itself.
type Move struct {
	At                time.Time
	No                int32
	State             task.State // of the task; zero for a step
	Step              step.State // of the step; zero for the task
	Dispatch, Attempt int32
	Error             string // the message of a failure
}

// Moves is where a task stands and what happened to it.
type Moves struct {
	CreatedAt time.Time
	State     task.State
	task.Counters
	Names map[int32]string // of the steps in Moves; of all, where the whole history was asked for
	Moves []Move           // in the order of their times
}

// MovesSince asks for what happened to a task at a time and after it; the zero
// time asks for the whole history.
type MovesSince struct {
	Task ident.TaskID
	At   time.Time
}

// TaskHistory reads what happened to tasks.
type TaskHistory interface {
	// Moves reads the history of many tasks, all in one snapshot and with as many
	// statements as for one. Unknown tasks are left out.
	Moves(ctx context.Context, of []MovesSince) (map[ident.TaskID]Moves, error)
}
