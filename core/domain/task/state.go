// Package task is the life of a task: its states, its events, and the table of
// moves that is the only law about them.
package task

import "fmt"

// State is where a task stands. The zero State is none.
type State uint8

// The twelve states of the contract. A task rests in eight of them and the
// terminal ones; it only passes through initializing, enqueuing_steps and
// evaluating_results, inside one transaction.
const (
	Pending State = iota + 1
	Initializing
	EnqueuingSteps
	StepsInProcess
	EvaluatingResults
	WaitingForDependencies
	WaitingForRetry
	BlockedByFailures
	Complete
	Error
	Cancelled
	ResolvedManually
)

type traits struct {
	name     string
	terminal bool // nothing moves by itself any more
	passing  bool // never seen at rest
}

var states = [...]traits{
	Pending:                {name: "pending"},
	Initializing:           {name: "initializing", passing: true},
	EnqueuingSteps:         {name: "enqueuing_steps", passing: true},
	StepsInProcess:         {name: "steps_in_process"},
	EvaluatingResults:      {name: "evaluating_results", passing: true},
	WaitingForDependencies: {name: "waiting_for_dependencies"},
	WaitingForRetry:        {name: "waiting_for_retry"},
	BlockedByFailures:      {name: "blocked_by_failures"},
	Complete:               {name: "complete", terminal: true},
	Error:                  {name: "error", terminal: true},
	Cancelled:              {name: "cancelled", terminal: true},
	ResolvedManually:       {name: "resolved_manually", terminal: true},
}

// States returns all twelve in the order of the contract.
func States() []State {
	all := make([]State, 0, len(states)-1)
	for s := Pending; int(s) < len(states); s++ {
		all = append(all, s)
	}
	return all
}

// String returns the spelling of the contract.
func (s State) String() string {
	if s == 0 || int(s) >= len(states) {
		return "none"
	}
	return states[s].name
}

// MarshalText returns the spelling of the contract.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Terminal reports whether nothing moves the task by itself any more.
func (s State) Terminal() bool { return int(s) < len(states) && states[s].terminal }

// Passing reports whether a task only passes through s within a transaction.
func (s State) Passing() bool { return int(s) < len(states) && states[s].passing }

// ParseState reads a state's name. It also accepts in_progress, the old
// spelling of steps_in_process.
func ParseState(name string) (State, error) {
	if name == "in_progress" {
		return StepsInProcess, nil
	}
	for _, s := range States() {
		if states[s].name == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("%q is not the state of a task", name)
}
