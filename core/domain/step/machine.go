package step

import "fmt"

// Event is something that happens to a step. The zero Event is none.
type Event uint8

// The events of the contract, and two that the contract lacks: LeaseLost and Halt.
const (
	Enqueue Event = iota + 1
	Start
	EnqueueForOrchestration
	EnqueueAsErrorForOrchestration
	Finish // complete
	Fail
	WaitForRetry
	Retry
	ResetForRetry
	Cancel
	CompleteManually
	ResolveManually
	LeaseLost // the worker or its server died; the step runs again
	Halt      // its task ended in error while the step was under way; it may be tried again with the task
	lastEvent = Halt
)

var eventNames = [...]string{
	Enqueue: "enqueue", Start: "start", EnqueueForOrchestration: "enqueue_for_orchestration",
	EnqueueAsErrorForOrchestration: "enqueue_as_error_for_orchestration", Finish: "complete", Fail: "fail",
	WaitForRetry: "wait_for_retry", Retry: "retry", ResetForRetry: "reset_for_retry", Cancel: "cancel",
	CompleteManually: "complete_manually", ResolveManually: "resolve_manually", LeaseLost: "lease_lost", Halt: "halt",
}

// Events returns all events.
func Events() []Event {
	all := make([]Event, 0, lastEvent)
	for e := Enqueue; e <= lastEvent; e++ {
		all = append(all, e)
	}
	return all
}

// String returns the snake_case name.
func (e Event) String() string {
	if e == 0 || int(e) >= len(eventNames) {
		return "none"
	}
	return eventNames[e]
}

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
	legacy  = "a shortcut of old versions of the contract; this system passes through the notification states"
	atRest  = "no step rests in a notification state, so none can be cancelled there"
	noFails = "only a step that a worker held can fail until branches are decided at run time"
)

// moves is the whole law: what it does not list cannot happen. Unlike the
// original's it has no way out of complete, cancelled and resolved_manually.
var moves = []Move{
	{From: Pending, On: Enqueue, To: Enqueued},
	{From: Pending, On: Start, To: InProgress, Unused: legacy},
	{From: Enqueued, On: Start, To: InProgress},
	{From: InProgress, On: EnqueueForOrchestration, To: EnqueuedForOrchestration},
	{From: InProgress, On: EnqueueAsErrorForOrchestration, To: EnqueuedAsErrorForOrchestration},
	{From: EnqueuedForOrchestration, On: Finish, To: Complete},
	{From: EnqueuedForOrchestration, On: Fail, To: Error, Unused: "outcomes of decisions and batches are not checked yet"},
	{From: EnqueuedAsErrorForOrchestration, On: Fail, To: Error},
	{From: EnqueuedAsErrorForOrchestration, On: Finish, To: Complete, Unused: "a failure is never read as a success"},
	{From: EnqueuedAsErrorForOrchestration, On: WaitForRetry, To: WaitingForRetry},
	{From: Pending, On: WaitForRetry, To: WaitingForRetry, Unused: legacy},
	{From: Enqueued, On: WaitForRetry, To: WaitingForRetry, Unused: legacy},
	{From: InProgress, On: WaitForRetry, To: WaitingForRetry, Unused: legacy},
	{From: InProgress, On: Finish, To: Complete, Unused: legacy},
	{From: InProgress, On: Fail, To: Error},
	{From: Pending, On: Fail, To: Error, Unused: noFails},
	{From: Enqueued, On: Fail, To: Error, Unused: noFails},
	{From: WaitingForRetry, On: Retry, To: Pending},
	{From: Error, On: Retry, To: Pending, Unused: legacy},
	{From: Error, On: ResetForRetry, To: Pending},
	{From: InProgress, On: LeaseLost, To: Pending},

	{From: Enqueued, On: Halt, To: Pending},
	{From: InProgress, On: Halt, To: Pending},
	{From: WaitingForRetry, On: Halt, To: Pending},

	{From: Pending, On: Cancel, To: Cancelled},
	{From: Enqueued, On: Cancel, To: Cancelled},
	{From: InProgress, On: Cancel, To: Cancelled},
	{From: EnqueuedForOrchestration, On: Cancel, To: Cancelled, Unused: atRest},
	{From: EnqueuedAsErrorForOrchestration, On: Cancel, To: Cancelled, Unused: atRest},
	{From: WaitingForRetry, On: Cancel, To: Cancelled},
	{From: Error, On: Cancel, To: Cancelled},

	{From: Pending, On: CompleteManually, To: Complete},
	{From: Enqueued, On: CompleteManually, To: Complete},
	{From: InProgress, On: CompleteManually, To: Complete},
	{From: WaitingForRetry, On: CompleteManually, To: Complete},
	{From: Error, On: CompleteManually, To: Complete},
	{From: Pending, On: ResolveManually, To: ResolvedManually},
	{From: Enqueued, On: ResolveManually, To: ResolvedManually},
	{From: InProgress, On: ResolveManually, To: ResolvedManually},
	{From: WaitingForRetry, On: ResolveManually, To: ResolvedManually},
	{From: Error, On: ResolveManually, To: ResolvedManually},
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
	return fmt.Sprintf("a step in %s cannot take %s", e.From, e.On)
}

// On returns the state that follows s, or a *TransitionError.
func (s State) On(e Event) (State, error) {
	to, ok := table[key{s, e}]
	if !ok {
		return s, &TransitionError{From: s, On: e}
	}
	return to, nil
}
