// Package readiness says what a task is doing, derived from its steps: the same
// rules for both doors, and for people.
package readiness

import (
	"math"
	"time"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Step is what the rules look at.
type Step struct {
	State       step.State
	Parents     int32 // that it waits for, satisfied or not
	OpenParents int32
	Attempts    int32
	MaxAttempts int32
	Retryable   bool
	NextRetryAt time.Time // zero for none
}

// DependenciesSatisfied reports whether no parent holds the step up.
func (s Step) DependenciesSatisfied() bool { return s.OpenParents == 0 }

// CompletedParents returns how many parents are done.
func (s Step) CompletedParents() int32 { return s.Parents - s.OpenParents }

// RetryEligible reports whether the step may be tried (again).
func (s Step) RetryEligible() bool {
	return s.Attempts == 0 || s.Retryable && s.Attempts < s.MaxAttempts
}

// Due reports whether no wait holds the step up.
func (s Step) Due(now time.Time) bool { return !s.NextRetryAt.After(now) }

// Ready reports whether the step could start now: it is not in a queue or with
// a worker, and neither parents, attempts nor a wait hold it up.
func (s Step) Ready(now time.Time) bool {
	return (s.State == step.Pending || s.State == step.WaitingForRetry) &&
		s.DependenciesSatisfied() && s.RetryEligible() && s.Due(now)
}

// Counts is how many steps of a task are in which condition.
type Counts struct {
	Total      int32
	Pending    int32
	InProgress int32
	Completed  int32 // complete or resolved by hand
	Failed     int32 // in error
	Ready      int32
	Active     int32 // enqueued or in progress
}

// Count looks at all steps of a task.
func Count(steps []Step, now time.Time) Counts {
	var c Counts
	for _, s := range steps {
		c.Total++
		switch {
		case s.State == step.Pending:
			c.Pending++
		case s.State == step.InProgress:
			c.InProgress++
		case s.State.Satisfies():
			c.Completed++
		case s.State == step.Error:
			c.Failed++
		}
		if s.State.Active() {
			c.Active++
		}
		if s.Ready(now) {
			c.Ready++
		}
	}
	return c
}

// Status is what a task is doing and what would help.
type Status struct {
	Execution string // execution_status of the contract
	Action    string // recommended_action
	Health    string // health_status
}

// Of derives the status: the first rule that matches. Nothing is recommended
// for a task that was ended from outside.
func Of(c Counts, s task.State) Status {
	health := "healthy"
	if c.Failed > 0 {
		health = "blocked"
	}
	status := func(execution, action string) Status {
		if s == task.Cancelled || s == task.ResolvedManually {
			action = "none"
		}
		return Status{execution, action, health}
	}
	switch {
	case c.Failed > 0:
		return status("blocked_by_failures", "handle_failures")
	case c.Ready > 0:
		return status("has_ready_steps", "execute_ready_steps")
	case c.Active > 0:
		return status("processing", "wait_for_completion")
	case c.Total > 0 && c.Completed == c.Total:
		return status("all_complete", "finalize_task")
	default:
		return status("waiting_for_dependencies", "wait_for_dependencies")
	}
}

// Percentage returns the share of completed steps, with two decimals.
func (c Counts) Percentage() float64 {
	if c.Total == 0 {
		return 0
	}
	return math.Round(float64(c.Completed)/float64(c.Total)*10_000) / 100
}
