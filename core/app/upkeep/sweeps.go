package upkeep

import (
	"context"
	"log/slog"
	"time"

	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

// Recovery enqueues the steps of servers that are gone.
type Recovery struct {
	Due   ports.DueStore
	Every time.Duration
	Log   *slog.Logger
}

// leases is how many lost leases are released in one round.
const leases = 1000

// Run looks for servers that are gone, at once and then every so often, until
// ctx ends.
func (r *Recovery) Run(ctx context.Context, enqueuer *Enqueuer) error {
	return every(ctx, r.Every, func() {
		for ctx.Err() == nil {
			wakes, err := r.Due.LostLeases(ctx, leases)
			if err == nil && len(wakes) > 0 {
				r.Log.InfoContext(ctx, "a server is gone; its steps run again", "steps", len(wakes))
				err = wakeAll(ctx, enqueuer, nil, ports.Due{Wakes: wakes})
			}
			if err != nil && ctx.Err() == nil {
				r.Log.WarnContext(ctx, "cannot release the leases of servers that are gone", "error", err)
			}
			if err != nil || len(wakes) == 0 {
				return
			}
		}
	})
}

// Renewal keeps the leases of this server: without it, what it runs is given to
// others.
type Renewal struct {
	Leases   ports.Leases
	Declared func() []plan.Queue // what the workers of this server have declared
	Lease    time.Duration
	Every    time.Duration
	Changed  <-chan struct{} // a worker has come or gone
	Log      *slog.Logger
}

// Run renews, at once and then every so often, until ctx ends.
func (r *Renewal) Run(ctx context.Context) error {
	ticker := time.NewTicker(r.Every)
	defer ticker.Stop()
	for {
		if err := r.Leases.Renew(ctx, r.Lease, r.Declared()); err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "cannot renew the leases of this server; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-r.Changed:
		}
	}
}

// Reconciler looks for what nobody woke in time. In a healthy system it finds
// nothing.
type Reconciler struct {
	Due       ports.DueStore
	Pauses    ports.Pauses
	Enqueuer  *Enqueuer
	Finalizer *Finalizer
	Healed    func(n int) // counts what was found
	Log       *slog.Logger
}

// Reconcile wakes what is long overdue, and forgets pauses of tasks that have
// ended: claims look at all pauses.
func (r *Reconciler) Reconcile(ctx context.Context) error {
	if _, err := r.Pauses.EndPauses(ctx); err != nil {
		return err
	}
	due, err := r.Due.Due(ctx, batch, late)
	if err != nil || due.Overdue == 0 {
		return err
	}
	r.Healed(due.Overdue)
	r.Log.ErrorContext(ctx, "steps or tasks should have moved long ago; moving them now", "count", due.Overdue, "since", due.Earliest)
	return wakeAll(ctx, r.Enqueuer, r.Finalizer, due)
}

// Housekeeping keeps counters and partitions in shape.
type Housekeeping struct {
	Upkeep ports.Upkeep
	Log    *slog.Logger
}

// How often the chores are done.
const (
	foldEvery      = 10 * time.Second
	partitionEvery = 6 * time.Hour
)

// Run does the chores until ctx ends.
func (h *Housekeeping) Run(ctx context.Context) error {
	prepared := time.Now() //nolint:forbidigo // how long ago a chore was done; migrations prepare the first partitions
	return every(ctx, foldEvery, func() {
		if err := h.Upkeep.FoldCounts(ctx); err != nil && ctx.Err() == nil {
			h.Log.WarnContext(ctx, "cannot fold counters", "error", err)
		}
		if time.Since(prepared) < partitionEvery { //nolint:forbidigo // as above
			return
		}
		if err := h.Upkeep.PreparePartitions(ctx); err != nil {
			h.Log.WarnContext(ctx, "cannot prepare partitions", "error", err)
			return
		}
		prepared = time.Now() //nolint:forbidigo // as above
	})
}

// every calls do at once and then after each interval.
func every(ctx context.Context, interval time.Duration, do func()) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
