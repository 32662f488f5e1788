// Package upkeep does what time asks for: due retries and lost leases on every
// server, counters and partitions on whichever gets the lock.
package upkeep

import (
	"context"
	"log/slog"
	"time"

	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

// Enqueuer takes steps that should move.
type Enqueuer = actor.Actor[plan.Wake, struct{}]

// Timers wakes steps whose time has come. It sleeps until the earliest, and
// looks again when it is told of an earlier one.
type Timers struct {
	due    ports.DueStore
	tick   time.Duration
	log    *slog.Logger
	sooner chan time.Duration
}

// NewTimers returns timers; Run sets them to work. Tick is how often they look
// whatever they were told.
func NewTimers(due ports.DueStore, tick time.Duration, log *slog.Logger) *Timers {
	return &Timers{due: due, tick: tick, log: log, sooner: make(chan time.Duration, 64)}
}

// In implements orchestrate.Timers. It never waits: when many are told at once,
// one of them is answered by looking at once.
func (t *Timers) In(d time.Duration) {
	select {
	case t.sooner <- d:
	default:
	}
}

// batch is how many due steps are read at once.
const batch = 500

// Run wakes due steps until ctx ends.
func (t *Timers) Run(ctx context.Context, enqueuer *Enqueuer) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	at := time.Now() //nolint:forbidigo // when to look next
	for {
		select {
		case <-ctx.Done():
			return nil
		case d := <-t.sooner:
			if want := time.Now().Add(d); want.Before(at) { //nolint:forbidigo // when to look next
				at = want
				timer.Reset(max(0, d))
			}
			continue
		case <-timer.C:
		}
		next := t.look(ctx, enqueuer)
		at = time.Now().Add(next) //nolint:forbidigo // when to look next
		timer.Reset(next)
	}
}

// look enqueues what is due and returns when to look again.
func (t *Timers) look(ctx context.Context, enqueuer *Enqueuer) time.Duration {
	wakes, next, err := t.due.DueRetries(ctx, batch)
	if err == nil && len(wakes) > 0 {
		err = wakeAll(ctx, enqueuer, wakes)
	}
	switch {
	case err != nil:
		if ctx.Err() == nil {
			t.log.WarnContext(ctx, "cannot wake due steps; trying again", "error", err)
		}
		return time.Second
	case next < 0:
		return t.tick
	default:
		return min(next, t.tick)
	}
}

// wakeAll hands steps to the enqueuer and waits until it is done with them, so
// that the same ones are not found again.
func wakeAll(ctx context.Context, enqueuer *Enqueuer, wakes []plan.Wake) error {
	results := make(chan error, len(wakes))
	for _, w := range wakes {
		if err := enqueuer.Send(ctx, w, func(_ struct{}, err error) { results <- err }); err != nil {
			return err
		}
	}
	var first error
	for range wakes {
		select {
		case err := <-results:
			if err != nil && first == nil {
				first = err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return first
}
