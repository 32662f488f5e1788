package readiness_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestReady(t *testing.T) {
	t.Parallel()
	fresh := readiness.Step{State: step.Pending, MaxAttempts: 3, Retryable: true}
	with := func(change func(*readiness.Step)) readiness.Step {
		s := fresh
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		step  readiness.Step
		ready bool
	}{
		"a root":                           {fresh, true},
		"all parents done":                 {with(func(s *readiness.Step) { s.Parents = 2 }), true},
		"a parent open":                    {with(func(s *readiness.Step) { s.Parents, s.OpenParents = 2, 1 }), false},
		"a wait that is over":              {with(func(s *readiness.Step) { s.State, s.Attempts, s.NextRetryAt = step.WaitingForRetry, 1, now }), true},
		"a wait that is not over":          {with(func(s *readiness.Step) { s.State, s.Attempts, s.NextRetryAt = step.WaitingForRetry, 1, now.Add(1) }), false},
		"attempts left":                    {with(func(s *readiness.Step) { s.Attempts = 2 }), true},
		"no attempts left":                 {with(func(s *readiness.Step) { s.Attempts = 3 }), false},
		"not retryable, tried":             {with(func(s *readiness.Step) { s.Attempts, s.Retryable = 1, false }), false},
		"not retryable, not tried":         {with(func(s *readiness.Step) { s.Retryable = false }), true},
		"the first attempt ignores limits": {with(func(s *readiness.Step) { s.MaxAttempts = 0 }), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.ready, c.step.Ready(now))
		})
	}
	for _, s := range step.States() {
		could := s == step.Pending || s == step.WaitingForRetry
		require.Equal(t, could, with(func(r *readiness.Step) { r.State = s }).Ready(now), s)
	}
}

// TestStatus is the table of the contract: the first rule that matches.
func TestStatus(t *testing.T) {
	t.Parallel()
	at := func(states ...step.State) []readiness.Step {
		steps := make([]readiness.Step, len(states))
		for i, s := range states {
			// Waiting for a parent, so that only what is asked for is ready.
			steps[i] = readiness.Step{State: s, Parents: 1, OpenParents: 1}
		}
		return steps
	}
	ready := readiness.Step{State: step.Pending}
	for name, c := range map[string]struct {
		steps                     []readiness.Step
		state                     task.State
		execution, action, health string
	}{
		"a failure comes before all else":  {append(at(step.Error, step.InProgress, step.Complete), ready), task.StepsInProcess, "blocked_by_failures", "handle_failures", "blocked"},
		"a ready step before running ones": {append(at(step.InProgress, step.Complete), ready), task.StepsInProcess, "has_ready_steps", "execute_ready_steps", "healthy"},
		"running":                          {at(step.InProgress, step.Pending), task.StepsInProcess, "processing", "wait_for_completion", "healthy"},
		"in a queue":                       {at(step.Enqueued, step.Complete), task.StepsInProcess, "processing", "wait_for_completion", "healthy"},
		"all complete":                     {at(step.Complete, step.ResolvedManually), task.Complete, "all_complete", "finalize_task", "healthy"},
		"waiting":                          {at(step.Pending, step.Complete), task.WaitingForDependencies, "waiting_for_dependencies", "wait_for_dependencies", "healthy"},
		"no steps":                         {nil, task.Pending, "waiting_for_dependencies", "wait_for_dependencies", "healthy"},
		"cancelled":                        {at(step.Cancelled, step.Complete), task.Cancelled, "waiting_for_dependencies", "none", "healthy"},
		"resolved by hand":                 {at(step.Error, step.Complete), task.ResolvedManually, "blocked_by_failures", "none", "blocked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := readiness.Of(readiness.Count(c.steps, now), c.state)
			require.Equal(t, readiness.Status{Execution: c.execution, Action: c.action, Health: c.health}, got)
		})
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	var steps []readiness.Step
	for _, s := range step.States() {
		steps = append(steps, readiness.Step{State: s})
	}
	c := readiness.Count(steps, now)
	require.Equal(t, readiness.Counts{
		Total: 10, Pending: 1, InProgress: 1, Completed: 2, Failed: 1, Active: 2, Ready: 2,
	}, c)
	require.InDelta(t, 20, c.Percentage(), 0)
	require.InDelta(t, 33.33, readiness.Counts{Total: 3, Completed: 1}.Percentage(), 0)
	require.Zero(t, readiness.Counts{}.Percentage())
	require.Equal(t, int32(1), readiness.Step{Parents: 3, OpenParents: 2}.CompletedParents())
}
