package task

import "fmt"

// Move is one row of the law.
type Move struct {
	From State
	On   Event
	To   State
	// Unused is empty for the rows that this system emits; else it says why the
	// row is in the contract and yet never taken.
	Unused string
}

const (
	legacy  = "a shortcut of old versions of the contract; this system goes by way of evaluating_results"
	nothing = "nothing outside holds an open step up but what it depends on: a pause is no state"
)

// moves is the whole law: what it does not list cannot happen.
var moves = []Move{
	{From: Pending, On: Start, To: Initializing},
	{From: Initializing, On: ReadyStepsFound, To: EnqueuingSteps},
	{From: Initializing, On: NoStepsFound, To: Complete},
	{From: Initializing, On: NoDependenciesReady, To: WaitingForDependencies, Unused: "a graph without cycles has a root"},
	{From: EnqueuingSteps, On: StepsEnqueued, To: StepsInProcess},
	{From: EnqueuingSteps, On: EnqueueFailed, To: Error, Unused: "jobs commit with the states that cause them, or neither does"},

	{From: StepsInProcess, On: AllStepsCompleted, To: EvaluatingResults},
	{From: StepsInProcess, On: StepCompleted, To: EvaluatingResults},
	{From: StepsInProcess, On: StepFailed, To: WaitingForRetry},
	{From: StepsInProcess, On: ProcessorCrashed, To: EnqueuingSteps, Unused: "a step whose worker is gone is enqueued again at once, and its task stays in process"},
	{From: StepsInProcess, On: Finish, To: Complete, Unused: legacy},
	{From: StepsInProcess, On: Fail, To: Error, Unused: legacy},

	{From: EvaluatingResults, On: AllStepsSuccessful, To: Complete},
	{From: EvaluatingResults, On: ReadyStepsFound, To: EnqueuingSteps},
	{From: EvaluatingResults, On: NoDependenciesReady, To: WaitingForDependencies, Unused: nothing},
	{From: EvaluatingResults, On: PermanentFailure, To: BlockedByFailures},

	{From: WaitingForDependencies, On: DependenciesReady, To: EvaluatingResults, Unused: nothing},
	{From: WaitingForRetry, On: RetryReady, To: EnqueuingSteps},
	// Beyond the contract: a person settled the step that was waited for.
	{From: WaitingForRetry, On: DependenciesReady, To: EvaluatingResults},

	{From: BlockedByFailures, On: DependenciesReady, To: EvaluatingResults},
	{From: BlockedByFailures, On: GiveUp, To: Error},
	{From: BlockedByFailures, On: ManualResolution, To: ResolvedManually},
	{From: BlockedByFailures, On: Reset, To: Pending},
	{From: Error, On: Reset, To: Pending},
	{From: Error, On: ResolveByHand, To: ResolvedManually},

	{From: StepsInProcess, On: Timeout, To: Error},
	{From: WaitingForDependencies, On: Timeout, To: Error, Unused: nothing},
	{From: WaitingForRetry, On: Timeout, To: Error},
	{From: BlockedByFailures, On: Timeout, To: Error},

	{From: Pending, On: Cancel, To: Cancelled},
	{From: StepsInProcess, On: Cancel, To: Cancelled},
	{From: WaitingForDependencies, On: Cancel, To: Cancelled, Unused: nothing},
	{From: WaitingForRetry, On: Cancel, To: Cancelled},
	{From: BlockedByFailures, On: Cancel, To: Cancelled},

	{From: Pending, On: ResolveByHand, To: ResolvedManually},
	{From: StepsInProcess, On: ResolveByHand, To: ResolvedManually},
	{From: WaitingForDependencies, On: ResolveByHand, To: ResolvedManually, Unused: nothing},
	{From: WaitingForRetry, On: ResolveByHand, To: ResolvedManually},
}

type key struct {
	from State
	on   Event
}

var table = func() map[key]State {
	m := make(map[key]State, len(moves))
	for _, row := range moves {
		m[key{row.From, row.On}] = row.To
	}
	return m
}()

// Moves returns the law, row by row.
func Moves() []Move { return append([]Move(nil), moves...) }

// TransitionError says that the law has no such move.
type TransitionError struct {
	From State
	On   Event
}

// Error implements error.
func (e *TransitionError) Error() string {
	return fmt.Sprintf("a task in %s cannot take %s", e.From, e.On)
}

// On returns the state that follows s, or a *TransitionError.
func (s State) On(e Event) (State, error) {
	to, ok := table[key{s, e}]
	if !ok {
		return s, &TransitionError{From: s, On: e}
	}
	return to, nil
}

// Route is a legal way from one resting state to another.
type Route struct {
	Events []Event
	Path   []State // the states passed through, ends left out
}

// routes holds the shortest way between any two resting states through passing
// ones, over the rows that this system emits; of two equal ones the first in
// the table.
var routes = func() map[[2]State]Route {
	all := map[[2]State]Route{}
	for _, from := range States() {
		if from.Passing() {
			continue
		}
		type leg struct {
			at  State
			way Route
		}
		queue := []leg{{at: from}}
		for len(queue) > 0 {
			l := queue[0]
			queue = queue[1:]
			for _, row := range moves {
				if row.From != l.at || row.Unused != "" {
					continue
				}
				way := Route{
					Events: append(append([]Event(nil), l.way.Events...), row.On),
					Path:   l.way.Path,
				}
				if !row.To.Passing() {
					if _, known := all[[2]State{from, row.To}]; !known {
						all[[2]State{from, row.To}] = way
					}
					continue
				}
				if len(way.Path) < len(states) {
					way.Path = append(append([]State(nil), l.way.Path...), row.To)
					queue = append(queue, leg{at: row.To, way: way})
				}
			}
		}
	}
	return all
}()

// RouteTo returns the legal way from s to another resting state, or an error
// when the table has none.
func (s State) RouteTo(to State) (Route, error) {
	if way, ok := routes[[2]State{s, to}]; ok {
		return way, nil
	}
	return Route{}, fmt.Errorf("no way from %s to %s", s, to)
}

// Counters is what a task knows of its steps. It decides where the task rests.
type Counters struct {
	Total    int32 // steps that exist
	Open     int32 // neither complete, resolved by hand nor cancelled
	Active   int32 // enqueued or in progress
	Retrying int32 // waiting for retry
	Failed   int32 // in error
}

// Rest returns the state in which a started task with these counters rests:
// the first that matches.
func (c Counters) Rest() State {
	switch {
	case c.Active > 0:
		return StepsInProcess
	case c.Retrying > 0:
		return WaitingForRetry
	case c.Failed > 0:
		return BlockedByFailures
	case c.Open > 0:
		return WaitingForDependencies
	default:
		return Complete
	}
}
