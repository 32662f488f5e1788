// Package plan decides what happens next. What is known comes in as a Snapshot,
// what is to happen goes out as a Decision, and nothing else is looked at or
// touched: the same snapshot and stimuli give the same decision.
//
// Laws that every planner here keeps:
//   - only moves of the two state machines;
//   - a step is enqueued once for each dispatch number, when its last open
//     parent is satisfied, and never before;
//   - a result settles the live dispatch of a step in progress, or nothing;
//   - a task rests where its counters say, and its counters follow its steps;
//   - a planner sees the neighbourhood of its stimuli (the steps named, their
//     children, the tasks' counters) and costs the same in a task of any size.
package plan

import (
	"fmt"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
)

// Task is what a planner knows of a task.
type Task struct {
	ID        ident.TaskID
	Template  ident.TemplateID
	Namespace string
	State     task.State
	Priority  int32
	task.Counters
	EnteredAt time.Time // when it came into its state
	WakeAt    time.Time // when it moves by itself: the start of a pending one, else the deadline; zero for never
	Deadline  time.Time // zero for none
	Letters   int32     // dead letters so far: the ordinal of the newest
	// LetterOpen is set while the newest dead letter is open, LetterStale while
	// that one is about standing still.
	LetterOpen, LetterStale bool
}

// Step is what a planner knows of a step.
type Step struct {
	Ref         ident.StepRef
	Def         int32 // number of its definition in the template
	State       step.State
	OpenParents int32 // parents that do not satisfy it yet
	Attempts    int32 // attempts begun, the running one included; lost leases do not count
	Dispatch    int32 // raised by one at each enqueue, never reset
	Losses      int32 // leases lost
	Children    []int32
}

// Snapshot is what is known within one transaction: the rows are locked and
// stay as they are until it commits.
type Snapshot struct {
	Now   time.Time // the transaction's one reading of the database's clock
	Tasks map[ident.TaskID]Task
	Steps map[ident.StepRef]Step
	// Whole holds the tasks all of whose steps are here.
	Whole map[ident.TaskID]bool
	// Taken holds the identities that other tasks had claimed before; see
	// Submission.Identity.
	Taken map[Identity]ident.TaskID
	// Stored holds those of the probed tasks that a transaction of unknown
	// outcome did store.
	Stored map[ident.TaskID]bool
}

// Definitions finds the template that a task is pinned to. The caller makes
// sure that every task of the snapshot has one.
type Definitions func(ident.TemplateID) *template.Template

// WholeError says that a decision needs all steps of some tasks: it is to be
// asked again with a snapshot that holds them.
type WholeError struct{ Tasks []ident.TaskID }

// Error implements error.
func (e *WholeError) Error() string {
	return fmt.Sprintf("%d tasks must be seen whole", len(e.Tasks))
}

// Rules are the limits that do not come from templates.
type Rules struct {
	Jitter    float64 // spread of retries, see step.Policy
	MaxLosses int32   // a step that has lost so many leases fails as worker_unavailable
}
