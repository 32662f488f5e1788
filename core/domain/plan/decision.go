package plan

import (
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Decision is what is to happen, all of it or none.
type Decision struct {
	Created []NewTask
	Tasks   []TaskChange
	Steps   []StepChange
	Jobs    []Job
	Dropped []Job // of dispatches that are live no more, where that is known
	Letters []LetterChange
}

// Empty reports whether nothing is to happen.
func (d Decision) Empty() bool {
	return len(d.Created)+len(d.Tasks)+len(d.Steps)+len(d.Jobs)+len(d.Letters) == 0
}

// Queue is where the steps of one handler of one namespace wait for a worker.
type Queue struct {
	Namespace string
	Handler   string
}

// Job is one dispatch of a step: it waits in its queue until a worker has a
// free slot.
type Job struct {
	Ref      ident.StepRef
	Dispatch int32
	Queue    Queue
	Priority int32 // of the task, -100..100, larger runs sooner
}

// TaskChange is what becomes of a task.
type TaskChange struct {
	Task
	From task.State   // the stored state; Task.State is the new one
	Path []task.State // passed through on the way, when the state changes
	By   string       // who wanted it, for operator actions
	Why  string       // their reason

	how     way   // to its new state, where counters alone do not tell
	failed  int32 // steps in error before
	stirred bool  // something of it moved
}

// Moved reports whether the state changes, and not only the counters.
func (c TaskChange) Moved() bool { return c.From != c.State }

// StepChange is what becomes of a step. It holds only while the stored state
// and dispatch are still From and Live.
type StepChange struct {
	Step
	From    step.State
	Live    int32        // the stored dispatch; Step.Dispatch is the new one
	Path    []step.State // passed through on the way, when the state changes
	WakeAt  time.Time    // when a waiting step moves by itself; zero for never
	Value   json.RawMessage
	Inputs  json.RawMessage // what the handler gets from now on; nil for what it got
	Failure *step.Failure
	Elapsed time.Duration
	By      string // who wanted it, for operator actions
	Why     string // their reason, or how a lease was lost
	Stop    bool   // whoever runs the dispatch Live is to stop
}

// LetterChange is what becomes of a dead letter: it is opened, or another
// failure is added to it, or it is closed.
type LetterChange struct {
	ID       deadletter.EntryID
	Task     ident.TaskID
	Template ident.TemplateID
	Ordinal  int32
	Reason   deadletter.Reason // not zero: it is opened
	State    task.State        // of the task, when it was opened
	Note     string            // for people, when it was opened
	Failures []LetterFailure   // added
	Closed   deadletter.Status // not zero: it is closed
	By, Why  string            // who closed it
}

// LetterFailure is a step that failed for good.
type LetterFailure struct {
	Ref         ident.StepRef
	Name        string
	Dispatch    int32
	Attempt     int32
	Type        string
	Message     string
	Fingerprint string
}

// Moved reports whether the state or the dispatch changes, and not only what
// the step waits for.
func (c StepChange) Moved() bool { return c.From != c.State || c.Live != c.Dispatch }
