package watch

import (
	"maps"
	"slices"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

const (
	// kept is how many events of a task are held for its followers; whoever is
	// further behind reads the history.
	kept = 4096
	// overlap is how far back a feed reads: no claim takes longer to commit.
	overlap = 2 * time.Second
)

// feed is what all followers of one task share: its events, in one order. It is
// guarded by the hub.
type feed struct {
	id        ident.TaskID
	followers map[*Follower]struct{}

	ready chan struct{} // closed once the history was read, or the task is known not to be
	gone  bool          // there is no such task

	loaded bool
	behind bool // something happened that was not pushed: the history has to be read
	missed int  // counts pushes that could not be told

	events []Event // the newest; the first of them is number begins
	begins int
	at     cursor
	state  task.State
	task.Counters
	steps  map[int32]known
	names  map[int32]string
	failed string // the last failure of a step
}

// known is what was last told of a step; the zero value is pending.
type known struct {
	state    step.State
	dispatch int32
	begun    int32 // the last dispatch that a worker began
}

func (k known) at() step.State {
	if k.state == 0 {
		return step.Pending
	}
	return k.state
}

func (f *feed) end() int { return f.begins + len(f.events) }

// over reports whether nothing more is to be expected.
func (f *feed) over() bool { return f.gone || f.loaded && !f.behind && f.state.Terminal() }

// add appends what happened.
func (f *feed) add(m ports.Move) {
	e := Event{
		At: m.At, State: m.State, No: m.No, Name: f.names[m.No], Step: m.Step,
		Dispatch: m.Dispatch, Attempt: m.Attempt, Error: m.Error,
	}
	if p := positionOf(&m); !e.begins() && p.compare(f.at.position) > 0 {
		f.at.position = p
	} else {
		f.at.begun += mark(m.No, m.Dispatch)
	}
	e.cursor = f.at
	if m.No == 0 {
		f.state = m.State
		if m.State == task.Error || m.State == task.BlockedByFailures {
			e.Error = f.failed
		}
	} else {
		k := f.steps[m.No]
		k.state, k.dispatch = m.Step, m.Dispatch
		if e.begins() {
			k.begun = m.Dispatch
		}
		f.steps[m.No] = k
		if m.Error != "" {
			f.failed = m.Error
		}
	}
	f.events = append(f.events, e)
	if over := len(f.events) - kept; over >= kept {
		f.events = slices.Clone(f.events[over:])
		f.begins += over
	}
}

// history returns a feed of everything that a history holds.
func history(id ident.TaskID, h ports.Moves) *feed {
	f := &feed{
		id: id, loaded: true, names: h.Names, steps: make(map[int32]known, len(h.Names)),
		at: cursor{position: position{h.CreatedAt.UnixMicro(), rankCreated}},
	}
	inOrder(h.Moves)
	f.events = []Event{{At: h.CreatedAt, State: task.Pending, cursor: f.at}}
	for _, m := range h.Moves {
		f.addAll(m)
	}
	f.state, f.Counters = h.State, h.Counters
	return f
}

// addAll appends without regard to what is kept.
func (f *feed) addAll(m ports.Move) {
	before := f.events
	f.events = nil
	f.add(m)
	f.events = append(before, f.events...)
}

// load fills a feed for the first time.
func (f *feed) load(h ports.Moves) {
	all := history(f.id, h)
	f.events, f.at, f.state, f.Counters, f.steps, f.names, f.failed =
		all.events, all.at, all.state, all.Counters, all.steps, all.names, all.failed
	if over := len(f.events) - kept; over > 0 {
		f.events, f.begins = slices.Clone(f.events[over:]), over
	}
	f.loaded = true
}

// merge appends what a history holds and was not told. Quiet says that nothing
// was told since it was asked for.
func (f *feed) merge(h ports.Moves, since time.Time, quiet bool) {
	told := map[key]bool{}
	for i := len(f.events) - 1; i >= 0 && !f.events[i].At.Before(since.Add(-overlap)); i-- {
		told[f.events[i].key()] = true
	}
	maps.Copy(f.names, h.Names)
	inOrder(h.Moves)
	for i := range h.Moves {
		m := &h.Moves[i]
		if m.At.Before(since) || told[keyOf(m)] || m.Step == step.InProgress && m.Dispatch <= f.steps[m.No].begun {
			continue
		}
		f.add(*m)
	}
	if quiet {
		f.state, f.Counters = h.State, h.Counters
	}
}

// follows reports whether a decision goes on from what was told: else another
// server, or another transaction of this one, has done something in between.
func (f *feed) follows(c *plan.TaskChange, steps []*plan.StepChange) bool {
	if c.From != f.state {
		return false
	}
	sum := f.Counters
	for _, s := range steps {
		k := f.steps[s.Ref.No]
		if _, named := f.names[s.Ref.No]; !named || k.at() != s.From || k.dispatch != s.Live {
			return false
		}
		count(&sum, s.From, -1)
		count(&sum, s.State, +1)
	}
	return sum.Open == c.Open && sum.Active == c.Active && sum.Retrying == c.Retrying && sum.Failed == c.Failed
}

func count(c *task.Counters, s step.State, by int32) {
	if !s.Settled() {
		c.Open += by
	}
	switch {
	case s.Active():
		c.Active += by
	case s == step.WaitingForRetry:
		c.Retrying += by
	case s == step.Error:
		c.Failed += by
	}
}

// push tells what a transaction of this server did; false says that the history
// has to be read first.
func (f *feed) push(c *plan.TaskChange, steps []*plan.StepChange, at time.Time) bool {
	switch {
	case !f.loaded || f.behind:
		f.missed++
		return false
	case f.follows(c, steps):
	case at.UnixMicro() <= f.at.at:
		return true // it was read from the history already
	default:
		f.behind = true
		f.missed++
		return false
	}
	moves := make([]ports.Move, 0, len(steps)+1)
	if c.Moved() {
		moves = append(moves, ports.Move{At: at, State: c.State})
	}
	for _, s := range steps {
		if !s.Moved() {
			continue
		}
		m := ports.Move{At: at, No: s.Ref.No, Step: s.State, Dispatch: s.Dispatch, Attempt: s.Attempts}
		if s.Failure != nil {
			m.Error = s.Failure.Message
		}
		moves = append(moves, m)
	}
	inOrder(moves)
	for _, m := range moves {
		f.add(m)
	}
	f.Counters = c.Counters
	return true
}

// begun tells that a worker of this server began a step; false as for push.
func (f *feed) begun(s *ports.ClaimedStep) bool {
	k := f.steps[s.Ref.No]
	switch {
	case !f.loaded || f.behind:
		f.missed++
		return false
	case k.begun >= s.Dispatch || k.dispatch > s.Dispatch:
		return true
	case k.dispatch != s.Dispatch || k.state != step.Enqueued:
		f.behind = true
		f.missed++
		return false
	}
	f.add(ports.Move{At: s.At, No: s.Ref.No, Step: step.InProgress, Dispatch: s.Dispatch, Attempt: s.Attempt})
	return true
}

// wake has the followers look.
func (f *feed) wake() {
	for w := range f.followers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
