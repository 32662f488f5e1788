// Package watch tells waiting clients what happens to tasks: pushed from each
// commit of this server, and looked up, once for all watchers, when another
// server says that tasks have moved.
package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// Update is one change of a task or of a step of it.
type Update struct {
	At    time.Time
	State task.State // of the task, when it changed; else zero
	Step  *StepUpdate
}

// StepUpdate is a change of a step.
type StepUpdate struct {
	No       int32
	State    step.State
	Dispatch int32
	Attempts int32
	Error    string // of the last failure, when it failed
}

// After reports whether the update is newer than what is known of the step: its
// dispatch and state.
func (u StepUpdate) After(dispatch int32, s step.State) bool {
	if u.Dispatch != dispatch {
		return u.Dispatch > dispatch
	}
	return rank(u.State) > rank(s)
}

// rank orders the states that a dispatch goes through.
func rank(s step.State) int {
	switch {
	case s == step.Pending:
		return 0
	case s == step.Enqueued:
		return 1
	case s == step.InProgress:
		return 2
	default:
		return 3
	}
}

// backlog is how many updates a watcher may be behind. One that falls further
// behind misses steps, never the last state of its task.
const backlog = 256

// remembered is how many tasks the hub remembers, for those who ask for one just
// after it began or ended.
const remembered = 16384

// Reads is what the hub looks up.
type Reads interface {
	// States returns the states of tasks; unknown ids are left out.
	States(ctx context.Context, ids []ident.TaskID) (map[ident.TaskID]task.State, error)
	ports.TaskHistory
}

// Hub is safe for concurrent use.
type Hub struct {
	reads Reads
	log   *slog.Logger
	stale chan struct{} // something has to be looked up

	tellOthers func(context.Context) error // that tasks are followed here; may be nil
	leaving    chan struct{}
	leave      sync.Once

	mu       sync.Mutex
	watchers map[ident.TaskID]map[*Watcher]struct{}
	known    map[ident.TaskID]fact
	ring     [remembered]ident.TaskID // of known, the oldest at next
	next     int
	doubt    int // raised when another server may have moved tasks
	told     int // raised whenever a watcher is told a state

	feeds     map[ident.TaskID]*feed
	moved     bool      // by another server: the states of watched tasks are looked up
	all       bool      // the history of all followed tasks is looked up
	announced time.Time // when other servers were told that tasks are followed
}

// fact is the state of a task after a commit of this server.
type fact struct {
	state task.State
	at    time.Time
	doubt int // an unfinished task's state holds only while this is the hub's
}

// New returns a hub; Run keeps it in step with other servers.
func New(reads Reads, log *slog.Logger) *Hub {
	return &Hub{
		reads: reads, log: log, stale: make(chan struct{}, 1), leaving: make(chan struct{}),
		watchers: map[ident.TaskID]map[*Watcher]struct{}{}, known: map[ident.TaskID]fact{}, feeds: map[ident.TaskID]*feed{},
	}
}

// TellOthers has tell called now and then while tasks are followed, so that
// other servers say of every step that it moved. It is called before Run.
func (h *Hub) TellOthers(tell func(context.Context) error) { h.tellOthers = tell }

// Leave ends what waits, since the server is about to stop: followers get a
// fault shutting_down. It may be called more than once.
func (h *Hub) Leave() { h.leave.Do(func() { close(h.leaving) }) }

// Waiting returns how many wait for changes: watchers and followers.
func (h *Hub) Waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, all := range h.watchers {
		n += len(all)
	}
	for _, f := range h.feeds {
		n += len(f.followers)
	}
	return n
}

// Leaving is closed by Leave.
func (h *Hub) Leaving() <-chan struct{} { return h.leaving }

// leaveWait is how long clients of a server that stops are asked to wait.
const leaveWait = time.Second

// Watcher receives the updates of one task. Close it when done.
type Watcher struct {
	hub     *Hub
	id      ident.TaskID
	Updates chan Update

	last task.State // the state last sent or seen; this and the rest are guarded by the hub
	at   time.Time  // of the commit that it came from
	told int        // the hub's, when it was sent
}

// Watch begins to receive what happens to a task from now on. It returns the
// task's state when the hub knows it, else zero: then the caller looks it up.
//
// The state of a task that has ended stays. That of another is known as long as
// no other server has said that it moved tasks; should one have done so that is
// not heard yet, the news comes after the watch has begun, and is looked up.
func (h *Hub) Watch(id ident.TaskID) (w *Watcher, known task.State) {
	w = &Watcher{hub: h, id: id, Updates: make(chan Update, backlog)}
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.watchers[id]
	if all == nil {
		all = map[*Watcher]struct{}{}
		h.watchers[id] = all
	}
	all[w] = struct{}{}
	f, ok := h.known[id]
	if !ok || !f.state.Terminal() && f.doubt != h.doubt {
		return w, 0
	}
	w.last, w.at = f.state, f.at
	return w, f.state
}

// Seen tells the watcher which state its owner has read from the database, so
// that it is not told the same again.
func (w *Watcher) Seen(s task.State) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if w.last == 0 {
		w.last = s
	}
}

// Close ends the watch.
func (w *Watcher) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	all := w.hub.watchers[w.id]
	delete(all, w)
	if len(all) == 0 {
		delete(w.hub.watchers, w.id)
	}
}

// Doubt is to be asked for before a transaction commits, and given to Committed:
// another server may act on what was committed, and say so, before this one has
// told its own watchers.
func (h *Hub) Doubt() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.doubt
}

// Committed tells the watchers of a decision that has just been stored.
func (h *Hub) Committed(at time.Time, d plan.Decision, doubt int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range d.Created {
		h.remember(d.Created[i].Task.ID, fact{d.Created[i].State, at, doubt})
	}
	for i := range d.Tasks {
		if c := &d.Tasks[i]; c.Moved() {
			h.remember(c.ID, fact{c.State, at, doubt})
		}
	}
	h.push(at, &d)
	if len(h.watchers) == 0 {
		return
	}
	for i := range d.Steps {
		c := &d.Steps[i]
		if !c.Moved() {
			continue
		}
		u := Update{At: at, Step: &StepUpdate{No: c.Ref.No, State: c.State, Dispatch: c.Dispatch, Attempts: c.Attempts}}
		if c.Failure != nil {
			u.Step.Error = c.Failure.Message
		}
		for w := range h.watchers[c.Ref.Task] {
			w.send(u)
		}
	}
	for i := range d.Tasks {
		if c := &d.Tasks[i]; c.Moved() {
			h.tell(c.ID, c.State, at)
		}
	}
}

// Started tells the watchers of steps that workers have begun.
func (h *Hub) Started(steps []ports.ClaimedStep) {
	at := time.Now().UTC() //nolint:forbidigo // when it was seen
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pushBegun(steps)
	if len(h.watchers) == 0 {
		return
	}
	for i := range steps {
		s := &steps[i]
		for w := range h.watchers[s.Ref.Task] {
			w.send(Update{At: at, Step: &StepUpdate{
				No: s.Ref.No, State: step.InProgress, Dispatch: s.Dispatch, Attempts: s.Attempt,
			}})
		}
	}
}

// remember keeps the state of a task for a while. The caller holds the lock.
func (h *Hub) remember(id ident.TaskID, f fact) {
	before, known := h.known[id]
	if known && f.at.Before(before.at) {
		return
	}
	if !known {
		delete(h.known, h.ring[h.next])
		h.ring[h.next] = id
		h.next = (h.next + 1) % remembered
	}
	h.known[id] = f
}

// tell sends a state to a task's watchers, unless they know it or a later one.
// The caller holds the lock.
func (h *Hub) tell(id ident.TaskID, s task.State, at time.Time) {
	for w := range h.watchers[id] {
		if s == w.last || at.Before(w.at) {
			continue
		}
		w.at = at
		h.say(w, s, at)
	}
}

// say sends a state. The caller holds the lock.
func (h *Hub) say(w *Watcher, s task.State, at time.Time) {
	h.told++
	w.last, w.told = s, h.told
	w.send(Update{At: at, State: s})
}

// send never waits: for a watcher that is far behind, the oldest update makes
// room, so that the newest always arrives. The caller holds the lock.
func (w *Watcher) send(u Update) {
	for {
		select {
		case w.Updates <- u:
			return
		default:
		}
		select {
		case <-w.Updates:
		default:
		}
	}
}
