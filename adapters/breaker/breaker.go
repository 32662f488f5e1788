// Package breaker puts circuit breakers around ports. A breaker counts only
// failures of what is behind the port: a refused request is not an outage.
package breaker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

// Config says when a breaker opens and how it closes again.
type Config struct {
	Name          string
	FailureRatio  float64       // of the calls in a window, from which it opens
	MinimumVolume uint32        // calls in a window before the ratio counts; as many failures in a row open it too
	Window        time.Duration // in which calls are counted while closed
	OpenFor       time.Duration // until the first probe
	Probes        uint32        // successes in a row that close it
}

// UnitOfWork is a ports.UnitOfWork behind a breaker, and the admission that
// goes with it.
type UnitOfWork struct {
	next    ports.UnitOfWork
	breaker *gobreaker.CircuitBreaker[ports.ClaimReply]
	cfg     Config
}

var (
	_ ports.UnitOfWork = (*UnitOfWork)(nil)
	_ ports.Admission  = (*UnitOfWork)(nil)
)

// New returns next behind a breaker.
func New(next ports.UnitOfWork, cfg Config, log *slog.Logger) *UnitOfWork {
	return &UnitOfWork{next: next, cfg: cfg, breaker: gobreaker.NewCircuitBreaker[ports.ClaimReply](gobreaker.Settings{
		Name: cfg.Name, MaxRequests: cfg.Probes, Interval: cfg.Window, Timeout: cfg.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			// A busy window full of successes must not hide that nothing works now.
			return c.ConsecutiveFailures >= cfg.MinimumVolume ||
				c.Requests >= cfg.MinimumVolume && float64(c.TotalFailures) >= cfg.FailureRatio*float64(c.Requests)
		},
		OnStateChange: func(name string, from, to gobreaker.State) {
			log.Warn("circuit breaker", "breaker", name, "from", from.String(), "to", to.String())
		},
		IsSuccessful: func(err error) bool { return !ports.IsOutage(err) },
	})}
}

// Run implements ports.UnitOfWork. While the breaker is open it returns a fault
// circuit_breaker_open at once.
func (u *UnitOfWork) Run(ctx context.Context, scope ports.Scope, decide func(*plan.Snapshot) (ports.Writes, error)) (ports.ClaimReply, error) {
	reply, err := u.breaker.Execute(func() (ports.ClaimReply, error) { return u.next.Run(ctx, scope, decide) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return reply, u.open()
	}
	return reply, err
}

// Admit implements ports.Admission: nothing new is let in while the breaker is
// open. Half open, requests come in as the probes that close it.
func (u *UnitOfWork) Admit(context.Context) error {
	if u.breaker.State() == gobreaker.StateOpen {
		return u.open()
	}
	return nil
}

// State returns "closed", "half_open" or "open".
func (u *UnitOfWork) State() string {
	switch u.breaker.State() {
	case gobreaker.StateOpen:
		return "open"
	case gobreaker.StateHalfOpen:
		return "half_open"
	default:
		return "closed"
	}
}

func (u *UnitOfWork) open() error {
	return fault.New(fault.CodeBreakerOpen, "the database has failed too often just now; try again shortly").
		Later(max(time.Second, u.cfg.OpenFor))
}
