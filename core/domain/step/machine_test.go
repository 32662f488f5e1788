package step_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/step"
)

type row struct {
	from step.State
	on   step.Event
	to   step.State
}

// contract is the transition table of the system that this one re-implements,
// "any" spelled out. Rows with a reason are left out here on purpose.
func contract() map[row]string {
	rows := map[row]string{
		{step.Pending, step.Enqueue, step.Enqueued}:                                                  "",
		{step.Enqueued, step.Start, step.InProgress}:                                                 "",
		{step.Pending, step.Start, step.InProgress}:                                                  "",
		{step.InProgress, step.EnqueueForOrchestration, step.EnqueuedForOrchestration}:               "",
		{step.InProgress, step.EnqueueAsErrorForOrchestration, step.EnqueuedAsErrorForOrchestration}: "",
		{step.EnqueuedForOrchestration, step.Finish, step.Complete}:                                  "",
		{step.EnqueuedForOrchestration, step.Fail, step.Error}:                                       "",
		{step.EnqueuedAsErrorForOrchestration, step.Fail, step.Error}:                                "",
		{step.EnqueuedAsErrorForOrchestration, step.Finish, step.Complete}:                           "",
		{step.EnqueuedAsErrorForOrchestration, step.WaitForRetry, step.WaitingForRetry}:              "",
		{step.InProgress, step.WaitForRetry, step.WaitingForRetry}:                                   "",
		{step.Enqueued, step.WaitForRetry, step.WaitingForRetry}:                                     "",
		{step.Pending, step.WaitForRetry, step.WaitingForRetry}:                                      "",
		{step.InProgress, step.Finish, step.Complete}:                                                "",
		{step.InProgress, step.Fail, step.Error}:                                                     "",
		{step.Pending, step.Fail, step.Error}:                                                        "",
		{step.Enqueued, step.Fail, step.Error}:                                                       "",
		{step.WaitingForRetry, step.Retry, step.Pending}:                                             "",
		{step.Error, step.Retry, step.Pending}:                                                       "",
		{step.Error, step.ResetForRetry, step.Pending}:                                               "",
	}
	const (
		final  = "the original could settle a step again that was settled"
		passed = "no step rests there, so no operator can meet one there"
	)
	for _, s := range step.States() {
		if !s.Settled() {
			rows[row{s, step.Cancel, step.Cancelled}] = ""
		}
		reason := ""
		switch {
		case s.Settled():
			reason = final
		case s.Passing():
			reason = passed
		}
		rows[row{s, step.CompleteManually, step.Complete}] = reason
		rows[row{s, step.ResolveManually, step.ResolvedManually}] = reason
	}
	return rows
}

const halted = "the original left the steps of a task in error as they were"

// beyond are the rows that this system has and the contract lacks.
var beyond = map[row]string{
	{step.InProgress, step.LeaseLost, step.Pending}: "the original had no leases: a step whose worker died was stuck",
	{step.Enqueued, step.Halt, step.Pending}:        halted, {step.InProgress, step.Halt, step.Pending}: halted,
	{step.WaitingForRetry, step.Halt, step.Pending}: halted,
}

func TestTheLawIsTheContractsButForNamedRows(t *testing.T) {
	t.Parallel()
	law := map[row]bool{}
	for _, m := range step.Moves() {
		law[row{m.From, m.On, m.To}] = true
	}
	rows := contract()
	for r, reason := range rows {
		require.Equal(t, reason == "", law[r], "%s on %s to %s: %s", r.from, r.on, r.to, reason)
	}
	for r := range law {
		if _, known := rows[r]; !known {
			require.Contains(t, beyond, r, "%s on %s to %s is not in the contract", r.from, r.on, r.to)
		}
	}
	for r := range beyond {
		require.True(t, law[r], "%s on %s to %s is gone", r.from, r.on, r.to)
		require.NotContains(t, rows, r)
	}
}

func TestStatesAndTheirClasses(t *testing.T) {
	t.Parallel()
	type classes struct{ settled, satisfies, passing, active bool }
	want := []struct {
		name string
		classes
	}{
		{"pending", classes{}},
		{"enqueued", classes{active: true}},
		{"in_progress", classes{active: true}},
		{"enqueued_for_orchestration", classes{passing: true}},
		{"enqueued_as_error_for_orchestration", classes{passing: true}},
		{"waiting_for_retry", classes{}},
		{"complete", classes{settled: true, satisfies: true}},
		{"error", classes{}},
		{"cancelled", classes{settled: true}},
		{"resolved_manually", classes{settled: true, satisfies: true}},
	}
	states := step.States()
	require.Len(t, states, len(want))
	resting := 0
	for i, s := range states {
		require.Equal(t, want[i].name, s.String())
		require.Equal(t, classes{s.Settled(), s.Satisfies(), s.Passing(), s.Active()}, want[i].classes, s)
		if !s.Passing() {
			resting++
		}
		parsed, err := step.ParseState(s.String())
		require.NoError(t, err)
		require.Equal(t, s, parsed)
		text, err := s.MarshalText()
		require.NoError(t, err)
		require.Equal(t, want[i].name, string(text))
	}
	require.Equal(t, 8, resting)
	_, err := step.ParseState("none")
	require.Error(t, err)
	require.Equal(t, "none", step.State(0).String())
	require.Equal(t, "none", step.State(99).String())
	require.Equal(t, "none", step.Event(0).String())
}

func TestEventsHaveNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, e := range step.Events() {
		require.NotEqual(t, "none", e.String())
		require.False(t, names[e.String()], "two events are called %s", e)
		names[e.String()] = true
	}
	require.Len(t, names, 14)
}

// TestOnIsTheTable tries every event in every state.
func TestOnIsTheTable(t *testing.T) {
	t.Parallel()
	law := map[step.State]map[step.Event]step.State{}
	for _, m := range step.Moves() {
		if law[m.From] == nil {
			law[m.From] = map[step.Event]step.State{}
		}
		require.NotContains(t, law[m.From], m.On, "two rows for %s on %s", m.From, m.On)
		law[m.From][m.On] = m.To
	}
	for _, s := range step.States() {
		require.Equal(t, s.Settled(), len(law[s]) == 0, "%s: what is settled has no way out, all else has", s)
		for _, e := range step.Events() {
			got, err := s.On(e)
			if to, ok := law[s][e]; ok {
				require.NoError(t, err)
				require.Equal(t, to, got)
				continue
			}
			var illegal *step.TransitionError
			require.ErrorAs(t, err, &illegal)
			require.Equal(t, step.TransitionError{From: s, On: e}, *illegal)
			require.Equal(t, s, got, "an illegal event changes nothing")
			require.Contains(t, err.Error(), s.String())
		}
	}
}

// TestErrorIsLeftOnlyByPeople: no row that this system emits by itself leads
// out of error, but for a cancel.
func TestErrorIsLeftOnlyByPeople(t *testing.T) {
	t.Parallel()
	for _, m := range step.Moves() {
		people := []step.Event{step.Cancel, step.ResetForRetry, step.CompleteManually, step.ResolveManually}
		if m.From == step.Error && !slices.Contains(people, m.On) {
			require.NotEmpty(t, m.Unused, "error on %s", m.On)
		}
	}
}

func TestVerdictsHaveNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "applied", step.Applied.String())
	require.Equal(t, "duplicate", step.Duplicate.String())
	require.Equal(t, "stale", step.Stale.String())
	require.Equal(t, "none", step.Verdict(0).String())
}
