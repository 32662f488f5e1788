package watch

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

const (
	// pause is how long the hub rests between two lookups: other servers commit
	// all the time.
	pause = 20 * time.Millisecond
	// beat is how often other servers are told that tasks are followed, and the
	// followed tasks are looked up whatever was heard.
	beat = 5 * time.Second
	// settle is how long it takes until all servers have heard of the first
	// follower, and ended the transactions that did not know.
	settle = 250 * time.Millisecond
)

// Elsewhere says that another server has moved tasks, or may have.
func (h *Hub) Elsewhere() {
	h.mu.Lock()
	h.doubt++
	h.moved, h.all = true, true
	h.mu.Unlock()
	h.again()
}

// Newcomer says that another server has begun to listen: it is told at once that
// tasks are followed here, if they are.
func (h *Hub) Newcomer() {
	h.mu.Lock()
	h.announced = time.Time{}
	h.mu.Unlock()
	h.again()
}

// again asks for a lookup; it never waits.
func (h *Hub) again() {
	select {
	case h.stale <- struct{}{}:
	default:
	}
}

// push tells the followers of a decision that was stored. The caller holds the
// lock.
func (h *Hub) push(at time.Time, d *plan.Decision) {
	if len(h.feeds) == 0 {
		return
	}
	var steps map[ident.TaskID][]*plan.StepChange
	for i := range d.Steps {
		c := &d.Steps[i]
		if h.feeds[c.Ref.Task] == nil {
			continue
		}
		if steps == nil {
			steps = map[ident.TaskID][]*plan.StepChange{}
		}
		steps[c.Ref.Task] = append(steps[c.Ref.Task], c)
	}
	for i := range d.Tasks {
		c := &d.Tasks[i]
		if f := h.feeds[c.ID]; f != nil {
			if !f.push(c, steps[c.ID], at) {
				h.again()
			}
			f.wake()
		}
	}
}

// pushBegun tells the followers of steps that workers have begun. The caller
// holds the lock.
func (h *Hub) pushBegun(steps []ports.ClaimedStep) {
	if len(h.feeds) == 0 {
		return
	}
	for i := range steps {
		if f := h.feeds[steps[i].Ref.Task]; f != nil {
			if !f.begun(&steps[i]) {
				h.again()
			}
			f.wake()
		}
	}
}

// Run looks up what other servers did to all watched tasks, in one query, and
// the history of those that are followed, in another; until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	beats := time.NewTicker(beat)
	defer beats.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beats.C:
			h.mu.Lock()
			h.all = len(h.feeds) > 0
			h.mu.Unlock()
		case <-h.stale:
		}
		began := time.Now() //nolint:forbidigo // measures work
		if err := h.lookUp(ctx); err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "cannot look up watched tasks", "error", err)
			h.again()
		}
		// As long a rest as three lookups: the database has other work.
		rest := time.NewTimer(max(pause, 3*time.Since(began))) //nolint:forbidigo // as above
		select {
		case <-ctx.Done():
			rest.Stop()
			return nil
		case <-rest.C:
		}
	}
}

func (h *Hub) lookUp(ctx context.Context) error {
	h.mu.Lock()
	moved := h.moved
	h.moved = false
	h.mu.Unlock()
	if moved {
		if err := h.refresh(ctx); err != nil {
			h.mu.Lock()
			h.moved = true
			h.mu.Unlock()
			return err
		}
	}
	return h.read(ctx)
}

// refresh tells watchers what the database says. One that was told something
// while the database was asked is left alone: that may be newer.
func (h *Hub) refresh(ctx context.Context) error {
	h.mu.Lock()
	asked := h.told
	ids := make([]ident.TaskID, 0, len(h.watchers))
	for id := range h.watchers {
		ids = append(ids, id)
	}
	h.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	states, err := h.reads.States(ctx, ids)
	if err != nil {
		return err
	}
	now := time.Now().UTC() //nolint:forbidigo // when it was seen
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, s := range states {
		for w := range h.watchers[id] {
			switch {
			case s == w.last:
			case w.told > asked:
				h.moved = true
				h.again()
			default:
				h.say(w, s, now)
			}
		}
	}
	return nil
}

// asked is what a feed was when its history was asked for.
type asked struct {
	feed   *feed
	since  time.Time
	missed int
	end    int
}

// read brings the feeds that need it up to date with the history.
func (h *Hub) read(ctx context.Context) error {
	if err := h.announce(ctx); err != nil {
		h.log.WarnContext(ctx, "cannot tell other servers that tasks are followed here", "error", err)
	}
	about, of := h.due()
	if len(of) == 0 {
		return nil
	}
	all, err := h.reads.Moves(ctx, of)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.all = true
		return err
	}
	for _, a := range about {
		f := a.feed
		got, exists := all[f.id]
		switch {
		case !exists:
			f.gone = true
		case !f.loaded:
			f.load(got)
		default:
			f.merge(got, a.since, f.end() == a.end)
		}
		if f.behind = f.missed != a.missed; f.behind {
			h.again()
		}
		select {
		case <-f.ready:
		default:
			close(f.ready)
		}
		f.wake()
	}
	return nil
}

// due returns which histories to ask for.
func (h *Hub) due() ([]asked, []ports.MovesSince) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var (
		about []asked
		of    []ports.MovesSince
	)
	for id, f := range h.feeds {
		if f.over() || f.loaded && !f.behind && !h.all {
			continue
		}
		a := asked{feed: f, missed: f.missed, end: f.end()}
		if f.loaded {
			a.since = time.UnixMicro(f.at.at).Add(-overlap)
		}
		about = append(about, a)
		of = append(of, ports.MovesSince{Task: id, At: a.since})
	}
	h.all = false
	return about, of
}

// announce tells other servers that tasks are followed here, when it is time.
func (h *Hub) announce(ctx context.Context) error {
	h.mu.Lock()
	now := time.Now() //nolint:forbidigo // how long ago it was
	since := now.Sub(h.announced)
	if h.tellOthers == nil || len(h.feeds) == 0 || since < beat-pause {
		h.mu.Unlock()
		return nil
	}
	h.announced = now
	h.mu.Unlock()
	if since > 2*beat { // for the first time: what is on its way does not know it yet
		time.AfterFunc(settle, func() {
			h.mu.Lock()
			h.all = true
			h.mu.Unlock()
			h.again()
		})
	}
	return h.tellOthers(ctx)
}
