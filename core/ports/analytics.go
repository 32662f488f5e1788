package ports

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Tally is how the tasks that were made in a period have done so far.
type Tally struct {
	From, Now time.Time // the period, by the clock of the database
	// Sampled tells that there were too many tasks to read them all: numbers
	// are estimates, and means are those of a sample.
	Sampled                  bool
	Tasks, Steps             int64
	Completed, Failed        int64         // tasks in complete; in error or blocked_by_failures
	TaskDuration             time.Duration // mean from the start of a completed task to its end; 0 for none
	StepDuration             time.Duration // mean of the last attempt of settled steps; 0 for none
	TasksMeasured, StepsRead int64         // tasks and steps behind the means
}

// SlowStep is one step of a template over its runs.
type SlowStep struct {
	Template         task.Name
	Step             string
	Average, Longest time.Duration // of the attempts that settled it
	Runs, Failed     int64
	LastAt           time.Time
}

// SlowTask is one template over its tasks.
type SlowTask struct {
	Template            task.Name
	Average, Longest    time.Duration // from a task's start to its end
	Runs                int64         // tasks that have ended, well or badly
	AverageSteps        float64
	Failed, FailedSteps int64 // tasks; steps of them
	LastAt              time.Time
}

// Slowest asks for what is slow.
type Slowest struct {
	Period  time.Duration
	Limit   int   // of each list
	MinRuns int64 // what ran less often is left out
}

// SlowReport is what is slow among the tasks made in a period, slowest first.
type SlowReport struct {
	Steps   []SlowStep
	Tasks   []SlowTask
	Sampled bool // as in Tally
}

// Analytics reads figures about tasks and steps. What a call reads is bounded,
// however many tasks there are.
type Analytics interface {
	// Tally counts the tasks made within a period that ends now. Durations of
	// steps are read only if steps is set.
	Tally(ctx context.Context, period time.Duration, steps bool) (Tally, error)
	// Slowest returns the steps and the templates that take longest.
	Slowest(ctx context.Context, q Slowest) (SlowReport, error)
	// Counts returns the number of tasks and steps per template and state.
	Counts(ctx context.Context) ([]StateCount, error)
}

// TaskContext is what a task works on.
type TaskContext struct {
	Namespace string
	Inputs    json.RawMessage // what it was made with
	Outputs   []StepOutput    // of its finished steps, in their order
}

// StepOutput is the result of a finished step.
type StepOutput struct {
	Name  string
	Value json.RawMessage // nil where there was no room for it
}

// TaskContexts reads what tasks work on.
type TaskContexts interface {
	// TaskContext returns the context of a task, or a fault task_not_found.
	// Results are read as long as what they take in storage adds up to limit
	// bytes at most; those after that have no value.
	TaskContext(ctx context.Context, id ident.TaskID, limit int64) (TaskContext, error)
}

// ErrorRate returns the share of runs that failed, 0 to 1.
func (s *SlowStep) ErrorRate() float64 { return share(s.Failed, s.Runs) }

// ErrorRate returns the share of tasks that failed, 0 to 1.
func (t *SlowTask) ErrorRate() float64 { return share(t.Failed, t.Runs) }

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
