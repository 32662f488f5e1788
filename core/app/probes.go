package app

import (
	"context"
	"fmt"

	"github.com/tasker-go/tasker/core/ports"
)

// The names of the checks of the contract.
const (
	CheckWebDatabase           = "web_database"
	CheckOrchestrationDatabase = "orchestration_database"
	CheckCircuitBreaker        = "circuit_breaker"
	CheckOrchestrationSystem   = "orchestration_system"
	CheckCommandProcessor      = "command_processor"
	CheckPoolUtilization       = "pool_utilization"
	CheckQueueDepth            = "queue_depth"
	CheckChannelSaturation     = "channel_saturation"
)

// Fractions of a capacity from which use is worth a look, and from which it is
// too much.
const (
	muchUse    = 0.80
	tooMuchUse = 0.95
)

// Jobs in one queue from which its depth is worth a look, and from which it is
// too much.
const (
	deepQueue    = 1000
	tooDeepQueue = 5000
)

// ProbeDatabase asks whether the database answers.
func ProbeDatabase(name string, db ports.Prober) Probe {
	return Probe{Name: name, Ready: true, Look: func(ctx context.Context) (CheckStatus, string) {
		if db.Ping(ctx) != nil { // the cause may hold addresses; the log has it
			return Unhealthy, "the database does not answer"
		}
		return Healthy, ""
	}}
}

// ProbeBreaker asks whether the breaker around database writes lets any
// through. state returns closed, half_open or open.
func ProbeBreaker(state func() string) Probe {
	return Probe{Name: CheckCircuitBreaker, Ready: true, Look: func(context.Context) (CheckStatus, string) {
		if s := state(); s == "open" {
			return Degraded, "the circuit breaker around database writes is open"
		}
		return Healthy, ""
	}}
}

// NormalState is the operational state in which work is taken.
const NormalState = "Normal"

// ProbeSystem asks whether the server has started and is not stopping. state
// returns one of the words of HealthInfo.OperationalState.
func ProbeSystem(state func() string) Probe {
	return Probe{Name: CheckOrchestrationSystem, Ready: true, Look: func(context.Context) (CheckStatus, string) {
		if s := state(); s != NormalState {
			return Unhealthy, "the server is in state " + s
		}
		return Healthy, ""
	}}
}

// Mailbox is an actor's mailbox, as probes see it.
type Mailbox interface {
	Name() string
	Depth() int
	Capacity() int
}

// ProbeActors asks whether the actors keep up: one whose mailbox is full takes
// nothing.
func ProbeActors(mailboxes ...Mailbox) Probe {
	return Probe{Name: CheckCommandProcessor, Ready: true, Look: func(context.Context) (CheckStatus, string) {
		for _, m := range mailboxes {
			if m.Depth() >= m.Capacity() {
				return Unhealthy, fmt.Sprintf("the mailbox of %s is full (%d)", m.Name(), m.Capacity())
			}
		}
		return Healthy, ""
	}}
}

// ProbeMailboxes asks how full the mailboxes are.
func ProbeMailboxes(mailboxes ...Mailbox) Probe {
	return Probe{Name: CheckChannelSaturation, Look: func(context.Context) (CheckStatus, string) {
		status, message, most := Healthy, "", 0.0
		for _, m := range mailboxes {
			if use := float64(m.Depth()) / float64(max(1, m.Capacity())); use > most {
				most = use
				if status = usage(use); status != Healthy {
					message = fmt.Sprintf("the mailbox of %s is %.0f %% full", m.Name(), 100*use)
				}
			}
		}
		return status, message
	}}
}

// ProbePools asks how busy the connections are.
func ProbePools(pools func() []PoolUse) Probe {
	return Probe{Name: CheckPoolUtilization, Look: func(context.Context) (CheckStatus, string) {
		status, message, most := Healthy, "", 0.0
		for _, p := range pools() {
			if use := p.Percent() / 100; use > most {
				most = use
				if status = usage(use); status != Healthy {
					message = fmt.Sprintf("%.0f %% of the connections of %s are in use", 100*use, p.Name)
				}
			}
		}
		return status, message
	}}
}

// ProbeQueues asks how much work waits for workers.
func ProbeQueues(s ports.Statistics) Probe {
	return Probe{Name: CheckQueueDepth, Look: func(ctx context.Context) (CheckStatus, string) {
		depths, err := s.QueueDepths(ctx)
		if err != nil {
			return Unknown, "the depth of the queues cannot be read"
		}
		deepest, most := "", int64(0)
		for name, depth := range depths {
			if depth > most || depth == most && name < deepest {
				deepest, most = name, depth
			}
		}
		switch {
		case most >= tooDeepQueue:
			return Unhealthy, fmt.Sprintf("%d jobs wait in %s", most, deepest)
		case most >= deepQueue:
			return Degraded, fmt.Sprintf("%d jobs wait in %s", most, deepest)
		default:
			return Healthy, ""
		}
	}}
}

func usage(fraction float64) CheckStatus {
	switch {
	case fraction >= tooMuchUse:
		return Unhealthy
	case fraction >= muchUse:
		return Degraded
	default:
		return Healthy
	}
}
