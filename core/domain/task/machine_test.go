package task_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/task"
)

type row struct {
	from task.State
	on   task.Event
	to   task.State
}

// contract is the transition table of the system that this one re-implements,
// "any" spelled out. Rows with a reason are left out here on purpose.
func contract() map[row]string {
	rows := map[row]string{
		{task.Pending, task.Start, task.Initializing}:                                   "",
		{task.Initializing, task.ReadyStepsFound, task.EnqueuingSteps}:                  "",
		{task.Initializing, task.NoStepsFound, task.Complete}:                           "",
		{task.Initializing, task.NoDependenciesReady, task.WaitingForDependencies}:      "",
		{task.EnqueuingSteps, task.StepsEnqueued, task.StepsInProcess}:                  "",
		{task.EnqueuingSteps, task.EnqueueFailed, task.Error}:                           "",
		{task.StepsInProcess, task.StepCompleted, task.EvaluatingResults}:               "",
		{task.StepsInProcess, task.AllStepsCompleted, task.EvaluatingResults}:           "",
		{task.StepsInProcess, task.StepFailed, task.WaitingForRetry}:                    "",
		{task.EvaluatingResults, task.AllStepsSuccessful, task.Complete}:                "",
		{task.EvaluatingResults, task.ReadyStepsFound, task.EnqueuingSteps}:             "",
		{task.EvaluatingResults, task.NoDependenciesReady, task.WaitingForDependencies}: "",
		{task.EvaluatingResults, task.PermanentFailure, task.BlockedByFailures}:         "",
		{task.WaitingForDependencies, task.DependenciesReady, task.EvaluatingResults}:   "",
		{task.WaitingForRetry, task.RetryReady, task.EnqueuingSteps}:                    "",
		{task.BlockedByFailures, task.GiveUp, task.Error}:                               "",
		{task.BlockedByFailures, task.ManualResolution, task.ResolvedManually}:          "",
		{task.StepsInProcess, task.Finish, task.Complete}:                               "",
		{task.StepsInProcess, task.Fail, task.Error}:                                    "",
		{task.Pending, task.Start, task.StepsInProcess}:                                 "one event leads to one state; the guard of the original accepted this and never chose it",
		{task.Error, task.Reset, task.Pending}:                                          "",
		{task.Complete, task.ResolveByHand, task.ResolvedManually}:                      "complete is final",
		{task.Cancelled, task.ResolveByHand, task.ResolvedManually}:                     "cancelled is final",
		{task.ResolvedManually, task.ResolveByHand, task.ResolvedManually}:              "resolved_manually is final",
		{task.BlockedByFailures, task.ResolveByHand, task.ResolvedManually}:             "manual_resolution is the event for it",
	}
	const passed = "no task rests there, so nobody can meet one there"
	for _, s := range task.States() {
		if s.Terminal() {
			continue
		}
		cancel, resolve := row{s, task.Cancel, task.Cancelled}, row{s, task.ResolveByHand, task.ResolvedManually}
		rows[cancel] = ""
		if _, known := rows[resolve]; !known {
			rows[resolve] = ""
		}
		if s.Passing() {
			rows[cancel], rows[resolve] = passed, passed
		}
	}
	rows[row{task.Error, task.ResolveByHand, task.ResolvedManually}] = ""
	return rows
}

// beyond are the rows that this system has and the contract lacks.
var beyond = map[row]string{
	{task.StepsInProcess, task.ProcessorCrashed, task.EnqueuingSteps}:        "the original has the event and no row for it",
	{task.BlockedByFailures, task.DependenciesReady, task.EvaluatingResults}: "resolving a failed step by hand opens the way on",
	{task.WaitingForRetry, task.DependenciesReady, task.EvaluatingResults}:   "so does resolving one that was to be tried again",
	{task.BlockedByFailures, task.Reset, task.Pending}:                       "a failed task can be started anew before it is given up",
	{task.StepsInProcess, task.Timeout, task.Error}:                          "the original has the event and no row for it",
	{task.WaitingForDependencies, task.Timeout, task.Error}:                  "the original has the event and no row for it",
	{task.WaitingForRetry, task.Timeout, task.Error}:                         "the original has the event and no row for it",
	{task.BlockedByFailures, task.Timeout, task.Error}:                       "the original has the event and no row for it",
}

func TestTheLawIsTheContractsButForNamedRows(t *testing.T) {
	t.Parallel()
	law := map[row]bool{}
	for _, m := range task.Moves() {
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

func TestStatesAndEventsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	var states, events []string
	for _, s := range task.States() {
		states = append(states, s.String())
	}
	for _, e := range task.Events() {
		events = append(events, e.String())
	}
	require.Equal(t, []string{
		"pending", "initializing", "enqueuing_steps", "steps_in_process", "evaluating_results",
		"waiting_for_dependencies", "waiting_for_retry", "blocked_by_failures",
		"complete", "error", "cancelled", "resolved_manually",
	}, states)
	require.ElementsMatch(t, []string{
		"start", "cancel", "give_up", "manual_resolution", "ready_steps_found", "no_steps_found",
		"no_dependencies_ready", "dependencies_ready", "steps_enqueued", "enqueue_failed", "step_completed",
		"step_failed", "all_steps_completed", "all_steps_successful", "permanent_failure", "retry_ready",
		"timeout", "processor_crashed", "complete", "fail", "resolve_manually", "reset",
	}, events)
}

func TestNamesAreReadBack(t *testing.T) {
	t.Parallel()
	for _, s := range task.States() {
		got, err := task.ParseState(s.String())
		require.NoError(t, err)
		require.Equal(t, s, got)
		text, err := s.MarshalText()
		require.NoError(t, err)
		require.Equal(t, s.String(), string(text))
	}
	got, err := task.ParseState("in_progress")
	require.NoError(t, err)
	require.Equal(t, task.StepsInProcess, got, "the old spelling")
	for _, wrong := range []string{"", "none", "Pending", "unknown"} {
		_, err := task.ParseState(wrong)
		require.Error(t, err, wrong)
	}
	require.Equal(t, "none", task.State(0).String())
	require.Equal(t, "none", task.State(99).String())
	require.Equal(t, "none", task.Event(0).String())
	require.False(t, task.State(99).Terminal() || task.State(99).Passing())
}

// TestOnIsTheTable tries every event in every state.
func TestOnIsTheTable(t *testing.T) {
	t.Parallel()
	law := map[task.State]map[task.Event]task.State{}
	for _, m := range task.Moves() {
		if law[m.From] == nil {
			law[m.From] = map[task.Event]task.State{}
		}
		require.NotContains(t, law[m.From], m.On, "two rows for %s on %s", m.From, m.On)
		law[m.From][m.On] = m.To
	}
	for _, s := range task.States() {
		for _, e := range task.Events() {
			got, err := s.On(e)
			if to, ok := law[s][e]; ok {
				require.NoError(t, err)
				require.Equal(t, to, got)
				continue
			}
			var illegal *task.TransitionError
			require.ErrorAs(t, err, &illegal)
			require.Equal(t, task.TransitionError{From: s, On: e}, *illegal)
			require.Equal(t, s, got, "an illegal event changes nothing")
			require.Contains(t, err.Error(), s.String())
		}
	}
}

func TestOnlyErrorHasAWayOutOfTheEnd(t *testing.T) {
	t.Parallel()
	var ways []row
	for _, m := range task.Moves() {
		if m.From.Terminal() {
			ways = append(ways, row{m.From, m.On, m.To})
		}
	}
	require.ElementsMatch(t, []row{
		{task.Error, task.Reset, task.Pending},
		{task.Error, task.ResolveByHand, task.ResolvedManually},
	}, ways)
}

func TestPassingStates(t *testing.T) {
	t.Parallel()
	var passing, terminal []task.State
	for _, s := range task.States() {
		if s.Passing() {
			passing = append(passing, s)
		}
		if s.Terminal() {
			terminal = append(terminal, s)
		}
	}
	require.Equal(t, []task.State{task.Initializing, task.EnqueuingSteps, task.EvaluatingResults}, passing)
	require.Equal(t, []task.State{task.Complete, task.Error, task.Cancelled, task.ResolvedManually}, terminal)
}

// TestRoutes names the way between every two resting states that the planners
// move a task between, and that there is none between others.
func TestRoutes(t *testing.T) {
	t.Parallel()
	want := map[[2]task.State][]task.State{
		{task.Pending, task.StepsInProcess}:           {task.Initializing, task.EnqueuingSteps},
		{task.StepsInProcess, task.StepsInProcess}:    {task.EvaluatingResults, task.EnqueuingSteps},
		{task.StepsInProcess, task.WaitingForRetry}:   nil,
		{task.StepsInProcess, task.BlockedByFailures}: {task.EvaluatingResults},
		{task.StepsInProcess, task.Complete}:          {task.EvaluatingResults},
		{task.WaitingForRetry, task.StepsInProcess}:   {task.EnqueuingSteps},
		{task.StepsInProcess, task.Cancelled}:         nil,
		{task.WaitingForRetry, task.Cancelled}:        nil,
		{task.BlockedByFailures, task.Cancelled}:      nil,
		{task.Pending, task.Cancelled}:                nil,

		// What people do to single steps.
		{task.WaitingForRetry, task.Complete}:            {task.EvaluatingResults},
		{task.WaitingForRetry, task.BlockedByFailures}:   {task.EvaluatingResults},
		{task.BlockedByFailures, task.StepsInProcess}:    {task.EvaluatingResults, task.EnqueuingSteps},
		{task.BlockedByFailures, task.Complete}:          {task.EvaluatingResults},
		{task.BlockedByFailures, task.BlockedByFailures}: {task.EvaluatingResults},

		// What they do to whole tasks, and deadlines.
		{task.Pending, task.ResolvedManually}:           nil,
		{task.StepsInProcess, task.ResolvedManually}:    nil,
		{task.WaitingForRetry, task.ResolvedManually}:   nil,
		{task.BlockedByFailures, task.ResolvedManually}: nil,
		{task.Error, task.ResolvedManually}:             nil,
		{task.Error, task.Pending}:                      nil,
		{task.Pending, task.Complete}:                   {task.Initializing}, // right after a reset that left nothing to do
		{task.BlockedByFailures, task.Pending}:          nil,
		{task.BlockedByFailures, task.Error}:            nil,
		{task.StepsInProcess, task.Error}:               nil,
		{task.WaitingForRetry, task.Error}:              nil,
	}
	for _, from := range task.States() {
		for _, to := range task.States() {
			path, possible := want[[2]task.State{from, to}]
			way, err := from.RouteTo(to)
			if !possible {
				require.Error(t, err, "%s to %s", from, to)
				continue
			}
			require.NoError(t, err, "%s to %s", from, to)
			require.Equal(t, path, way.Path, "%s to %s", from, to)
		}
	}
}

// TestRoutesAreLegal walks every route by the table.
func TestRoutesAreLegal(t *testing.T) {
	t.Parallel()
	for _, from := range task.States() {
		for _, to := range task.States() {
			way, err := from.RouteTo(to)
			if err != nil {
				continue
			}
			at := from
			stops := append(slices.Clone(way.Path), to)
			require.Len(t, way.Events, len(stops))
			for i, e := range way.Events {
				next, err := at.On(e)
				require.NoError(t, err)
				require.Equal(t, stops[i], next)
				require.Equal(t, i < len(way.Path), next.Passing(), "%s to %s passes through %s", from, to, next)
				at = next
			}
		}
	}
}

func TestRest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		counters task.Counters
		state    task.State
	}{
		"something runs":            {task.Counters{Total: 4, Open: 4, Active: 1, Retrying: 1, Failed: 1}, task.StepsInProcess},
		"something waits for retry": {task.Counters{Total: 4, Open: 4, Retrying: 1, Failed: 1}, task.WaitingForRetry},
		"something failed":          {task.Counters{Total: 4, Open: 2, Failed: 1}, task.BlockedByFailures},
		"something is open":         {task.Counters{Total: 4, Open: 1}, task.WaitingForDependencies},
		"nothing is open":           {task.Counters{Total: 4}, task.Complete},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.state, c.counters.Rest())
		})
	}
}
