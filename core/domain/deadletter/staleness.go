package deadletter

import (
	"time"

	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
)

// Thresholds say how long a task may stay in a state before it is stale. A zero
// threshold is none.
type Thresholds struct {
	WaitingForDependencies time.Duration
	WaitingForRetry        time.Duration
	StepsInProcess         time.Duration
	// Unserved is how long a step may wait for a worker of its handler.
	Unserved time.Duration
}

// WatchedStates are the states in which a task can become stale.
func WatchedStates() []task.State {
	return []task.State{task.WaitingForDependencies, task.WaitingForRetry, task.StepsInProcess}
}

// For returns the threshold of a state: the template's, else the server's; zero
// for a state in which no task becomes stale.
func (t Thresholds) For(s task.State, l template.Lifecycle) time.Duration {
	own, otherwise := 0, time.Duration(0)
	switch s {
	case task.WaitingForDependencies:
		own, otherwise = l.MaxWaitingForDependenciesMinutes, t.WaitingForDependencies
	case task.WaitingForRetry:
		own, otherwise = l.MaxWaitingForRetryMinutes, t.WaitingForRetry
	case task.StepsInProcess:
		own, otherwise = l.MaxStepsInProcessMinutes, t.StepsInProcess
	default:
	}
	if own > 0 {
		return time.Duration(own) * time.Minute
	}
	return otherwise
}

// Health is the verdict on how long a task has been in its state.
type Health string

// The verdicts of the contract.
const (
	Healthy Health = "healthy"
	Warning Health = "warning" // past warnAt of its threshold
	Stale   Health = "stale"
)

const warnAt = 0.8

// Judge compares the time in a state with its threshold. A task of which a
// worker runs a step is never stale: the worker's heartbeats say that it goes
// on.
func Judge(inState, threshold time.Duration, running bool) Health {
	switch {
	case threshold <= 0:
		return Healthy
	case inState >= threshold && !running:
		return Stale
	case float64(inState) >= warnAt*float64(threshold):
		return Warning
	default:
		return Healthy
	}
}
