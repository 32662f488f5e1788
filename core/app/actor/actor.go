// Package actor runs message handlers that work in batches: a bounded mailbox,
// a loop that takes what has gathered, and an answer for every sender.
//
// A mailbox is a queue of work in progress and never of record: a sender waits
// for its answer and acknowledges only then, so a killed process loses nothing
// that anybody was promised.
package actor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// Handler does the work of a batch: all of it in one transaction. It returns
// one answer for each message, or an error for the whole. Refusing a message is
// an answer, not an error. It runs under the actor's context, never a sender's.
type Handler[M, R any] interface {
	Handle(ctx context.Context, batch Batch[M]) ([]R, error)
}

// Batch is what a handler is given.
type Batch[M any] struct {
	Messages []M
	// Again is set when the batch, or one that held these messages, was tried
	// before and the outcome is not known.
	Again bool
	// Part is set when the messages are a part of a batch that failed: nothing
	// that could be left out should ride along.
	Part bool
}

// Config is what tells one actor from another.
type Config struct {
	Name     string
	Capacity int           // messages that may wait
	MaxBatch int           // messages in a batch, at most
	MaxBytes int           // size of a batch by Size, at most
	Loops    int           // batches that may be at work at once
	Patience time.Duration // how long a message outlasts an outage; 0 for as long as its sender waits
}

// Observer is told what actors do. It must be fast and safe for concurrent use.
type Observer interface {
	// Batch reports a batch that was answered: its size, how long its oldest
	// message had waited, and how long the work took.
	Batch(actor string, size int, queued, worked time.Duration)
	// Message counts a message by its outcome: handled, refused (mailbox full or
	// closed), failed, or abandoned by its sender.
	Message(actor, outcome string, n int)
}

// The outcomes of messages.
const (
	Handled   = "handled"
	Refused   = "refused"
	Failed    = "failed"
	Abandoned = "abandoned"
)

// Actor is a handler behind a bounded mailbox. All methods are safe for
// concurrent use.
type Actor[M, R any] struct {
	cfg     Config
	handler Handler[M, R]
	size    func(M) int
	observe Observer
	log     *slog.Logger
	mailbox chan envelope[M, R]

	leave  chan struct{} // closed when Stop begins: senders who wait for room give up
	mu     sync.RWMutex  // held for reading by senders: the mailbox is not closed under them
	closed bool

	begin, leaveOnce sync.Once
	lifetime         context.Context //nolint:containedctx // of the work: ends when Stop gives up
	abort            context.CancelFunc
	done             chan struct{}
}

type envelope[M, R any] struct {
	message M
	sender  context.Context //nolint:containedctx // the sender's patience is part of its message
	at      time.Time
	answer  func(R, error) // called once, from a loop of the actor: it must not wait
}

// New returns an actor; Start sets it to work. Size returns the bytes that a
// message counts for.
func New[M, R any](cfg Config, handler Handler[M, R], size func(M) int, observe Observer, log *slog.Logger) *Actor[M, R] {
	lifetime, abort := context.WithCancel(context.Background()) //nolint:gosec // G118: run and Stop call it
	return &Actor[M, R]{
		cfg: cfg, handler: handler, size: size, observe: observe, log: log.With("actor", cfg.Name),
		mailbox: make(chan envelope[M, R], cfg.Capacity), leave: make(chan struct{}), done: make(chan struct{}),
		lifetime: lifetime, abort: abort,
	}
}

// Name returns the actor's name.
func (a *Actor[M, R]) Name() string { return a.cfg.Name }

// Depth returns how many messages wait.
func (a *Actor[M, R]) Depth() int { return len(a.mailbox) }

// Capacity returns how many messages may wait.
func (a *Actor[M, R]) Capacity() int { return a.cfg.Capacity }

// Ask sends a message and waits for its answer. A full mailbox is a fault
// mailbox_full at once. When ctx ends first, Ask returns its error; the message
// is dropped if its work had not begun, else it takes effect unseen.
func (a *Actor[M, R]) Ask(ctx context.Context, m M) (R, error) {
	type answer struct {
		reply R
		err   error
	}
	got := make(chan answer, 1)
	if err := a.offer(ctx, m, false, func(r R, err error) { got <- answer{r, err} }); err != nil {
		var none R
		return none, err
	}
	select {
	case a := <-got:
		return a.reply, a.err
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}

// Send waits for room, sends a message and returns; answered is called with the
// outcome, from a loop of the actor: it must not wait. It is for senders whose
// number is bounded otherwise and whose message must not be refused.
func (a *Actor[M, R]) Send(ctx context.Context, m M, answered func(R, error)) error {
	return a.offer(ctx, m, true, answered)
}

func (a *Actor[M, R]) offer(ctx context.Context, m M, wait bool, answer func(R, error)) error {
	e := envelope[M, R]{message: m, sender: ctx, at: time.Now(), answer: answer} //nolint:forbidigo // measures waiting
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.closed {
		return a.turnAway()
	}
	if wait {
		select {
		case a.mailbox <- e:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-a.leave:
			return a.turnAway()
		}
	}
	select {
	case a.mailbox <- e:
		return nil
	default:
		a.observe.Message(a.cfg.Name, Refused, 1)
		return fault.New(fault.CodeMailboxFull, "too many requests wait for %s (%d); try again shortly",
			a.cfg.Name, a.cfg.Capacity).Later(time.Second)
	}
}

func (a *Actor[M, R]) turnAway() error {
	a.observe.Message(a.cfg.Name, Refused, 1)
	return shuttingDown()
}

// Start sets the actor to work. It returns at once; a second call does nothing.
func (a *Actor[M, R]) Start() { a.begin.Do(a.run) }

func (a *Actor[M, R]) run() {
	var loops sync.WaitGroup
	for range max(1, a.cfg.Loops) {
		loops.Go(func() { a.loop(a.lifetime) })
	}
	go func() {
		loops.Wait()
		a.abort()
		close(a.done)
	}()
}

// Stop takes no more messages and waits until those that wait are answered, or
// until ctx ends: then the rest is given up, and answered so. It may be called
// more than once, and before Start.
func (a *Actor[M, R]) Stop(ctx context.Context) error {
	a.leaveOnce.Do(func() { close(a.leave) })
	a.begin.Do(func() { // it never worked, and will not: what waits is answered so
		a.abort()
		a.run()
	})
	inTime := context.AfterFunc(ctx, a.abort)
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.mailbox)
	}
	a.mu.Unlock()
	<-a.done
	if !inTime() {
		return ctx.Err()
	}
	return nil
}

// loop takes batches until the mailbox is closed and empty. While one batch
// commits, the next gathers: latency when idle, throughput when busy, no timer.
func (a *Actor[M, R]) loop(ctx context.Context) {
	for {
		first, open := <-a.mailbox
		if !open {
			return
		}
		a.work(ctx, a.gather(first))
	}
}

func (a *Actor[M, R]) gather(first envelope[M, R]) []envelope[M, R] {
	batch := []envelope[M, R]{first}
	bytes := a.size(first.message)
	for len(batch) < a.cfg.MaxBatch && bytes < a.cfg.MaxBytes {
		select {
		case e, open := <-a.mailbox:
			if !open {
				return batch
			}
			batch = append(batch, e)
			bytes += a.size(e.message)
		default:
			return batch
		}
	}
	return batch
}

func (a *Actor[M, R]) work(ctx context.Context, batch []envelope[M, R]) {
	began := time.Now()              //nolint:forbidigo // measures work
	queued := began.Sub(batch[0].at) // before any is dropped: the first waited longest
	size := len(batch)
	a.settle(ctx, batch, false, false)
	a.observe.Batch(a.cfg.Name, size, queued, time.Since(began)) //nolint:forbidigo // measures work
}

// settle answers every message of a batch. One that fails for a reason that may
// belong to one message is halved until the culprit stands alone; an outage
// keeps the batch together and is waited out. Again and part are as in Batch.
func (a *Actor[M, R]) settle(ctx context.Context, batch []envelope[M, R], again, part bool) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		if batch = a.present(batch, again); len(batch) == 0 {
			return
		}
		if ctx.Err() != nil {
			a.fail(batch, shuttingDown())
			return
		}
		replies, err := a.try(ctx, Batch[M]{Messages: messages(batch), Again: again, Part: part})
		switch {
		case err == nil:
			a.observe.Message(a.cfg.Name, Handled, len(batch))
			for i, e := range batch {
				e.answer(replies[i], nil)
			}
			return
		case ctx.Err() != nil:
			a.fail(batch, shuttingDown().Because(err))
			return
		case ports.IsOutage(err) || isUnavailable(err):
			again = true
			a.log.WarnContext(ctx, "the database cannot be reached; keeping the batch", "messages", len(batch), "error", err, "pause", pause)
			if batch = a.tired(batch, err); len(batch) == 0 {
				return
			}
			sleep(ctx, pause)
		case len(batch) > 1:
			a.log.WarnContext(ctx, "a batch failed; halving it", "messages", len(batch), "error", err)
			half := len(batch) / 2
			a.settle(ctx, batch[:half], again, true)
			a.settle(ctx, batch[half:], again, true)
			return
		default:
			a.fail(batch, contended(err))
			return
		}
	}
}

// contended tells the sender of a message that met a stranger's lock to come
// back, and returns other errors as they are.
func contended(err error) error {
	if !errors.Is(err, ports.ErrContended) {
		return err
	}
	return fault.New(fault.CodeContended, "another transaction holds what this request needs; try again shortly").
		Later(time.Second).Because(err)
}

func (a *Actor[M, R]) try(ctx context.Context, b Batch[M]) (replies []R, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log.ErrorContext(ctx, "an actor panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	replies, err = a.handler.Handle(ctx, b)
	if err == nil && len(replies) != len(b.Messages) {
		err = fmt.Errorf("%d answers for %d messages", len(replies), len(b.Messages))
	}
	return replies, err
}

// present drops messages whose sender has gone, unless their work may have
// taken effect already: then it is seen through.
func (a *Actor[M, R]) present(batch []envelope[M, R], again bool) []envelope[M, R] {
	if again {
		return batch
	}
	kept := batch[:0:0]
	for _, e := range batch {
		if err := e.sender.Err(); err != nil {
			a.observe.Message(a.cfg.Name, Abandoned, 1)
			a.refuse(e, err)
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

// tired answers messages that have waited longer than the actor's patience, or
// whose sender has gone.
func (a *Actor[M, R]) tired(batch []envelope[M, R], cause error) []envelope[M, R] {
	kept := batch[:0:0]
	for _, e := range batch {
		waited := time.Since(e.at) //nolint:forbidigo // measures waiting
		switch {
		case e.sender.Err() != nil:
			a.observe.Message(a.cfg.Name, Abandoned, 1)
			a.refuse(e, e.sender.Err())
		case a.cfg.Patience > 0 && waited > a.cfg.Patience:
			a.fail([]envelope[M, R]{e}, unavailable(cause))
		default:
			kept = append(kept, e)
		}
	}
	return kept
}

func (a *Actor[M, R]) fail(batch []envelope[M, R], err error) {
	a.observe.Message(a.cfg.Name, Failed, len(batch))
	for _, e := range batch {
		a.refuse(e, err)
	}
}

func (*Actor[M, R]) refuse(e envelope[M, R], err error) {
	var none R
	e.answer(none, err)
}

func shuttingDown() *fault.Error {
	return fault.New(fault.CodeShuttingDown, "the server is shutting down").Later(time.Second)
}

func isUnavailable(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Kind == fault.Unavailable
}

func unavailable(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return fault.New(fault.CodeDatabaseDown, "the database cannot be reached; the request may or may not have taken effect").
		Later(2 * time.Second).Because(err)
}

func messages[M, R any](batch []envelope[M, R]) []M {
	ms := make([]M, len(batch))
	for i := range batch {
		ms[i] = batch[i].message
	}
	return ms
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
