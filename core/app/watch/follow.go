package watch

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/ports"
)

// portion is how many events a follower is given at once.
const portion = 256

// Follower receives every change of one task and of its steps, in order. It is
// for one goroutine; Close it when done. However slow it is, nobody else waits
// for it: one that falls behind what the hub holds goes on from the history.
type Follower struct {
	hub  *Hub
	feed *feed
	wake chan struct{}

	at     cursor       // of the last event given out
	asked  bool         // at is one
	replay []Event      // given out before what follows in the feed
	next   int          // number of the next event of the feed
	told   map[key]bool // given out from the history, and perhaps not in the feed yet
	until  time.Time    // told matters up to here
}

// Follow begins to follow a task after the event with the given id, or from its
// creation when that is empty. Faults: task_not_found, invalid_field, and
// shutting_down. The hub has to Run.
func (h *Hub) Follow(ctx context.Context, id ident.TaskID, after string) (*Follower, error) {
	f := &Follower{hub: h, wake: make(chan struct{}, 1)}
	if after != "" {
		if f.at, f.asked = parseCursor(after); !f.asked {
			return nil, fault.In("after", fault.CodeInvalidField, "after is not the id of an event: give one that was received, or nothing")
		}
	}
	h.mu.Lock()
	f.feed = h.feeds[id]
	if f.feed == nil {
		f.feed = &feed{id: id, ready: make(chan struct{}), followers: map[*Follower]struct{}{}}
		h.feeds[id] = f.feed
		h.again()
	}
	f.feed.followers[f] = struct{}{}
	h.mu.Unlock()
	if err := f.begin(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *Follower) begin(ctx context.Context) error {
	select {
	case <-f.feed.ready:
	case <-f.hub.leaving:
		return errLeaving()
	case <-ctx.Done():
		return ctx.Err()
	}
	f.hub.mu.Lock()
	if f.feed.gone {
		f.hub.mu.Unlock()
		return fault.New(fault.CodeTaskNotFound, "there is no task %s", f.feed.id)
	}
	known := f.join()
	f.hub.mu.Unlock()
	if known {
		return nil
	}
	return f.reread(ctx)
}

// join takes a place in what the hub holds, if that is enough. It is not for a
// cursor that the feed does not have: it may be further than the feed, from a
// server that has heard of more. The caller holds the lock.
func (f *Follower) join() bool {
	feed := f.feed
	if !f.asked {
		f.next = 0
		return feed.begins == 0
	}
	for i := len(feed.events) - 1; i >= 0; i-- {
		if feed.events[i].cursor == f.at {
			f.next = feed.begins + i + 1
			return true
		}
	}
	return false
}

// reread goes on from the history. What the feed gets meanwhile is told after
// it, but for what was in it.
func (f *Follower) reread(ctx context.Context) error {
	f.hub.mu.Lock()
	next := f.feed.end()
	f.hub.mu.Unlock()
	all, err := f.hub.reads.Moves(ctx, []ports.MovesSince{{Task: f.feed.id}})
	if err != nil {
		return err
	}
	h, ok := all[f.feed.id]
	if !ok {
		return fault.New(fault.CodeTaskNotFound, "there is no task %s", f.feed.id)
	}
	events := history(f.feed.id, h).events
	f.told = make(map[key]bool, len(events))
	for i := range events {
		f.told[events[i].key()] = true
	}
	f.replay = events
	if f.asked {
		f.replay = unseen(events, f.at)
	}
	f.next, f.until = next, events[len(events)-1].At.Add(overlap)
	return nil
}

// Next waits until something has happened and returns it. Ended says that the
// task has ended and nothing follows; then there may be no events. When the
// server shuts down it is a fault shutting_down.
func (f *Follower) Next(ctx context.Context) (events []Event, ended bool, err error) {
	for {
		var behind bool
		if events, ended, behind = f.take(); behind {
			if err := f.reread(ctx); err != nil {
				return nil, false, err
			}
			continue
		}
		if len(events) > 0 {
			f.at, f.asked = events[len(events)-1].cursor, true
		}
		if len(events) > 0 || ended {
			return events, ended, nil
		}
		select {
		case <-f.wake:
		case <-f.hub.leaving:
			return nil, false, errLeaving()
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

func (f *Follower) take() (events []Event, ended, behind bool) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	feed := f.feed
	if n := min(portion, len(f.replay)); n > 0 {
		events, f.replay = f.replay[:n:n], f.replay[n:]
		return events, len(f.replay) == 0 && f.next == feed.end() && feed.over(), false
	}
	if f.next < feed.begins {
		return nil, false, true
	}
	for f.next < feed.end() && len(events) < portion {
		e := &feed.events[f.next-feed.begins]
		if e.At.After(f.until) {
			f.told = nil
		}
		if !f.told[e.key()] {
			events = append(events, *e)
		}
		f.next++
	}
	return events, f.next == feed.end() && feed.over(), false
}

// Ended reports whether the task has ended and everything was given out.
func (f *Follower) Ended() bool {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	return len(f.replay) == 0 && f.next == f.feed.end() && f.feed.over()
}

// Close ends it.
func (f *Follower) Close() {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	delete(f.feed.followers, f)
	if len(f.feed.followers) == 0 && f.hub.feeds[f.feed.id] == f.feed {
		delete(f.hub.feeds, f.feed.id)
	}
}

func errLeaving() error {
	return fault.New(fault.CodeShuttingDown, "the server is shutting down; follow the task from another").Later(leaveWait)
}

// Standing gives out, instead of the history so far, where the task stands: its
// state, then the last of each step that has one, by number; the end of a task
// comes last. The id of the last of them stands for all.
func (f *Follower) Standing(ctx context.Context) (events []Event, ended bool, err error) {
	var (
		stands Event
		steps  = map[int32]Event{}
	)
	for {
		some, over, behind := f.take()
		if behind {
			if err := f.reread(ctx); err != nil {
				return nil, false, err
			}
			continue
		}
		for _, e := range some {
			f.at, f.asked = e.cursor, true
			if e.No == 0 {
				stands = e
			} else {
				steps[e.No] = e
			}
		}
		if ended = over; len(some) == 0 || over {
			break
		}
	}
	if !ended {
		events = append(events, stands)
	}
	for _, no := range slices.Sorted(maps.Keys(steps)) {
		events = append(events, steps[no])
	}
	if ended {
		events = append(events, stands)
	}
	for i := range events {
		events[i].cursor = cursor{}
	}
	events[len(events)-1].cursor = f.at
	return events, ended, nil
}
