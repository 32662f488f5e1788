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

// The actors that take what should move, and what should end.
type (
	Enqueuer  = actor.Actor[plan.Wake, plan.Refusal]
	Finalizer = actor.Actor[plan.Ending, plan.Refusal]
)

// Timers wakes steps and tasks whose time has come. It sleeps until the earliest, and
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

// late is how long after its time something is overdue: nobody does what the
// timers should have done.
const late = 30 * time.Second

// batch is how many due steps, and tasks, are read at once.
const batch = 500

// Run wakes what is due until ctx ends.
func (t *Timers) Run(ctx context.Context, enqueuer *Enqueuer, finalizer *Finalizer) error {
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
		next := t.look(ctx, enqueuer, finalizer)
		at = time.Now().Add(next) //nolint:forbidigo // when to look next
		timer.Reset(next)
	}
}

// look wakes what is due and returns when to look again.
func (t *Timers) look(ctx context.Context, enqueuer *Enqueuer, finalizer *Finalizer) time.Duration {
	due, err := t.due.Due(ctx, batch, late)
	if err == nil {
		err = wakeAll(ctx, enqueuer, finalizer, due)
	}
	switch {
	case err != nil:
		if ctx.Err() == nil {
			t.log.WarnContext(ctx, "cannot wake what is due; trying again", "error", err)
		}
		return time.Second
	case due.Next < 0:
		return t.tick
	default:
		return min(due.Next, t.tick)
	}
}

// wakeAll hands on what is due and waits until the actors are done with it, so
// that the same is not found again.
func wakeAll(ctx context.Context, enqueuer *Enqueuer, finalizer *Finalizer, due ports.Due) error {
	n := len(due.Wakes) + len(due.Endings)
	results := make(chan error, n)
	answer := func(_ plan.Refusal, err error) { results <- err }
	for _, w := range due.Wakes {
		if err := enqueuer.Send(ctx, w, answer); err != nil {
			return err
		}
	}
	for _, e := range due.Endings {
		if err := finalizer.Send(ctx, e, answer); err != nil {
			return err
		}
	}
	var first error
	for range n {
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
