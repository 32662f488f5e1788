// Package dispatch brings waiting steps to workers. It knows which handlers the
// connected workers have declared and how many of their slots are free, and
// takes from the queue only what can run at once.
//
// A claim happens in two ways, by one statement. A loop claims for queues that
// may hold something. And a transaction that makes steps ready lets the claim
// ride along as its last statement, where their queue was known to be empty and
// slots are free: then a step is settled, its child enqueued and claimed in one
// commit, and older work still goes first.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/ports"
)

// ErrCancelled is the cause of a handler's cancelled context when its task was
// cancelled, given up, resolved by hand, or ran out of time.
var ErrCancelled = errors.New("the task has ended")

// ErrTaken is the cause when the step is not this worker's any more: somebody
// settled it by hand, or its lease was lost.
var ErrTaken = errors.New("the step was taken from this worker")

// ErrStopping is the cause when the server gives up waiting for the handler.
var ErrStopping = errors.New("the server is stopping")

// Describer tells what a handler needs to know about a claimed step.
type Describer interface {
	Describe(ctx context.Context, s ports.ClaimedStep) (ports.Assignment, error)
}

// Observer is told of steps whose handlers are about to begin. It must be fast.
type Observer interface {
	Started(steps []ports.ClaimedStep)
}

// Results takes what workers report. It returns once the report is on its way
// to be settled, and waits while too many are.
type Results interface {
	Report(ctx context.Context, r step.Result)
}

// Dispatcher hands steps to workers. All methods are safe for concurrent use.
type Dispatcher struct {
	queue    ports.StepQueue
	describe Describer
	results  Results
	observe  Observer
	log      *slog.Logger
	tick     time.Duration
	wake     chan struct{}
	changed  chan struct{}

	mu       sync.Mutex
	lanes    map[plan.Queue]*lane
	order    []*lane // of lanes, to share slots fairly
	turn     int     // where the next round of sharing begins
	starved  bool    // the last round left out a lane for want of slots
	draining bool
	running  map[ident.StepRef]*run

	busy int           // reservations under way and handlers at work
	idle chan struct{} // made by Drain, closed when busy comes to 0

	lifetime context.Context //nolint:containedctx // of the handlers: ends when Stop gives up
	giveUp   context.CancelCauseFunc
	stop     context.CancelFunc
	loop     sync.WaitGroup
}

// lane is a queue that some worker serves.
type lane struct {
	queue   plan.Queue
	workers []*slots
	// empty means that nothing waits there, as far as is known: no job was
	// inserted since a claim that did not get all it asked for was sent.
	empty bool
}

// slots is what a worker can run at once.
type slots struct {
	runner ports.Runner
	free   int
}

type run struct {
	dispatch int32
	cancel   context.CancelCauseFunc
}

// New returns a dispatcher; Start sets it to work. Tick is how often all queues
// are looked at, whatever is known of them.
func New(queue ports.StepQueue, describe Describer, observe Observer, tick time.Duration, log *slog.Logger) *Dispatcher {
	lifetime, giveUp := context.WithCancelCause(context.Background())
	return &Dispatcher{
		queue: queue, describe: describe, observe: observe, log: log, tick: tick,
		wake: make(chan struct{}, 1), changed: make(chan struct{}, 1), lanes: map[plan.Queue]*lane{}, running: map[ident.StepRef]*run{},
		lifetime: lifetime, giveUp: giveUp, stop: func() {},
	}
}

// ReportTo says where results go. It is called once, before Start.
func (d *Dispatcher) ReportTo(r Results) { d.results = r }

// Serve adds a worker: what it declares and how many steps it runs at once.
func (d *Dispatcher) Serve(runner ports.Runner, declared []plan.Queue, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &slots{runner: runner, free: n}
	for _, q := range declared {
		l, known := d.lanes[q]
		if !known {
			l = &lane{queue: q}
			d.lanes[q] = l
			d.order = append(d.order, l)
		}
		l.workers = append(l.workers, w)
		l.empty = false
	}
	d.signal()
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// Declared returns what the workers of this server serve.
func (d *Dispatcher) Declared() []plan.Queue {
	d.mu.Lock()
	defer d.mu.Unlock()
	declared := make([]plan.Queue, len(d.order))
	for i, l := range d.order {
		declared[i] = l.queue
	}
	return declared
}

// Changed is ready to be read when Declared may have changed.
func (d *Dispatcher) Changed() <-chan struct{} { return d.changed }

// Running returns how many steps the workers of this server run.
func (d *Dispatcher) Running() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.running)
}

// signal wakes the loop; it never waits.
func (d *Dispatcher) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// News says that any queue may have got something: another server said so, or
// something may have been missed.
func (d *Dispatcher) News() {
	d.mu.Lock()
	for _, l := range d.order {
		l.empty = false
	}
	d.mu.Unlock()
	d.signal()
}

// Start sets the loop to work and returns.
func (d *Dispatcher) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	d.loop.Go(func() { d.claimLoop(ctx) })
}

// Drain takes nothing more from the queues and waits for the steps that run,
// until ctx ends.
func (d *Dispatcher) Drain(ctx context.Context) error {
	d.mu.Lock()
	d.draining = true
	if d.idle == nil {
		d.idle = make(chan struct{})
		if d.busy == 0 {
			close(d.idle)
		}
	}
	idle := d.idle
	d.mu.Unlock()
	d.stop() // a claim under way goes on: what it takes would be left behind otherwise
	ended := make(chan struct{})
	go func() {
		d.loop.Wait()
		close(ended)
	}()
	for _, done := range []chan struct{}{ended, idle} {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// finished notes the end of reservations or handlers. The caller holds the lock.
func (d *Dispatcher) finished(n int) {
	d.busy -= n
	if d.busy == 0 && d.idle != nil {
		select {
		case <-d.idle: // closed already: a last step was claimed as the drain began
		default:
			close(d.idle)
		}
	}
}

// Stop ends the loop and cancels the steps that still run. It does not wait for
// them: their leases are released when this server's connections close.
func (d *Dispatcher) Stop() {
	d.mu.Lock()
	d.draining = true
	d.mu.Unlock()
	d.stop()
	d.giveUp(ErrStopping)
	d.loop.Wait()
}

func (d *Dispatcher) claimLoop(ctx context.Context) {
	ticker := time.NewTicker(d.tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-ticker.C:
			d.News() // its signal makes one more turn, which finds nothing to ask for
		}
		for ctx.Err() == nil && d.claimOnce(ctx) {
		}
	}
}

// claimOnce claims for the free slots, and reports whether another round may
// find more.
func (d *Dispatcher) claimOnce(ctx context.Context) bool {
	r := d.share()
	if r.Request.Empty() {
		return false
	}
	reply, err := d.queue.Claim(d.lifetime, r.Request)
	if err != nil {
		r.Abort()
		if ctx.Err() == nil {
			d.log.WarnContext(ctx, "cannot claim steps; trying again", "error", err)
			pause := time.NewTimer(200 * time.Millisecond)
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
			pause.Stop()
		}
		return true
	}
	r.Done(reply)
	return true
}

// CancelTasks cancels the handlers that run steps of the tasks.
func (d *Dispatcher) CancelTasks(ids []ident.TaskID) {
	if len(ids) == 0 {
		return
	}
	gone := make(map[ident.TaskID]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for ref, r := range d.running {
		if gone[ref.Task] {
			r.cancel(ErrCancelled)
		}
	}
}

// CancelStep cancels the handler that runs a dispatch of a step that is not
// live any more.
func (d *Dispatcher) CancelStep(ref ident.StepRef, dispatch int32, cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := d.running[ref]; ok && r.dispatch == dispatch {
		r.cancel(cause)
	}
}
