// Package step is the life of a step: its states, its events, the table of
// moves, what a worker reports, and when a failed step runs again.
package step

import "fmt"

// State is where a step stands. The zero State is none.
type State uint8

// The ten states of the contract. A step only passes through the two
// enqueued_*_for_orchestration ones, inside one transaction.
const (
	Pending State = iota + 1
	Enqueued
	InProgress
	EnqueuedForOrchestration
	EnqueuedAsErrorForOrchestration
	WaitingForRetry
	Complete
	Error
	Cancelled
	ResolvedManually
)

type traits struct {
	name      string
	settled   bool // complete, resolved or cancelled: it will not run again
	satisfies bool // dependants may start
	passing   bool // never seen at rest
	active    bool // in a queue or with a worker
}

var states = [...]traits{
	Pending:                         {name: "pending"},
	Enqueued:                        {name: "enqueued", active: true},
	InProgress:                      {name: "in_progress", active: true},
	EnqueuedForOrchestration:        {name: "enqueued_for_orchestration", passing: true},
	EnqueuedAsErrorForOrchestration: {name: "enqueued_as_error_for_orchestration", passing: true},
	WaitingForRetry:                 {name: "waiting_for_retry"},
	Complete:                        {name: "complete", settled: true, satisfies: true},
	Error:                           {name: "error"},
	Cancelled:                       {name: "cancelled", settled: true},
	ResolvedManually:                {name: "resolved_manually", settled: true, satisfies: true},
}

// States returns all ten in the order of the contract.
func States() []State {
	all := make([]State, 0, len(states)-1)
	for s := Pending; int(s) < len(states); s++ {
		all = append(all, s)
	}
	return all
}

func (s State) traits() traits {
	if int(s) < len(states) {
		return states[s]
	}
	return traits{}
}

// String returns the spelling of the contract.
func (s State) String() string {
	if name := s.traits().name; name != "" {
		return name
	}
	return "none"
}

// MarshalText returns the spelling of the contract.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Settled reports whether the step is complete, resolved by hand or cancelled.
// A step in error is not settled: an operator may still act on it.
func (s State) Settled() bool { return s.traits().settled }

// Satisfies reports whether dependants of a step in s may start.
func (s State) Satisfies() bool { return s.traits().satisfies }

// Passing reports whether a step only passes through s within a transaction.
func (s State) Passing() bool { return s.traits().passing }

// Active reports whether a step in s is in a queue or with a worker.
func (s State) Active() bool { return s.traits().active }

// ParseState reads a state's name.
func ParseState(name string) (State, error) {
	for _, s := range States() {
		if states[s].name == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("%q is not the state of a step", name)
}
