package watch

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// Event is a change of a followed task or of one of its steps.
type Event struct {
	At                time.Time  // of the transaction that made it, by the database's clock
	State             task.State // of the task; zero when a step changed
	No                int32      // of the step; 0 when the task changed
	Name              string     // of the step
	Step              step.State // of the step
	Dispatch, Attempt int32      // of the step
	Error             string     // of a step that failed, and of the task that stands still or ends for it

	cursor
}

// ID is the place of the event in its task's history; Follow goes on after it.
// It is empty for all but the last of those that Standing gives out.
func (e *Event) ID() string {
	if e.cursor == (cursor{}) {
		return ""
	}
	return e.cursor.String()
}

// position is a place in the order in which the transactions of a task were
// made: they lock it, so their times are in order. What workers begin is not in
// that order: a claim does not wait for the task.
type position struct {
	at   int64 // microseconds since 1970
	rank int64 // within a transaction: its creation, the task as it gets going, steps by number, the task as it comes to rest
}

const (
	rankCreated = -1
	rankRest    = 1 << 32
)

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.rank, q.rank))
}

func positionOf(m *ports.Move) position {
	p := position{at: m.At.UnixMicro(), rank: int64(m.No)}
	if m.No == 0 && m.State != task.StepsInProcess {
		p.rank = rankRest
	}
	return p
}

// cursor says which events of a task somebody has seen: all up to the position,
// and of the steps that workers began those whose marks add up to begun. Any
// server can tell the rest from the history.
type cursor struct {
	position
	begun uint32
}

const base = 36

// String writes the cursor as an id of an event.
func (c cursor) String() string {
	return strconv.FormatInt(c.at, base) + "-" + strconv.FormatInt(c.rank-rankCreated, base) + "-" + strconv.FormatUint(uint64(c.begun), base)
}

func parseCursor(id string) (c cursor, ok bool) {
	parts := strings.Split(id, "-")
	if len(parts) != 3 {
		return c, false
	}
	at, err1 := strconv.ParseUint(parts[0], base, 62)
	rank, err2 := strconv.ParseUint(parts[1], base, 34)
	begun, err3 := strconv.ParseUint(parts[2], base, 32)
	if err1 != nil || err2 != nil || err3 != nil {
		return c, false
	}
	c = cursor{position{int64(at), int64(rank) + rankCreated}, uint32(begun)}
	return c, c.String() == id
}

// mark tells one dispatch of a task from the others, as good as surely.
func mark(no, dispatch int32) uint32 {
	z := uint64(uint32(no))<<32 | uint64(uint32(dispatch)) //nolint:gosec // G115: as bits
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return uint32(z ^ z>>31) //nolint:gosec // G115: a hash, cut
}

func (e *Event) begins() bool { return e.Step == step.InProgress }

// key tells the events of a task apart.
type key struct {
	at           int64
	no, dispatch int32
	state        task.State
	step         step.State
}

func keyOf(m *ports.Move) key { return key{m.At.UnixMicro(), m.No, m.Dispatch, m.State, m.Step} }

func (e *Event) key() key { return key{e.At.UnixMicro(), e.No, e.Dispatch, e.State, e.Step} }

// inOrder sorts a history.
func inOrder(moves []ports.Move) {
	slices.SortStableFunc(moves, func(a, b ports.Move) int { return positionOf(&a).compare(positionOf(&b)) })
}

// window is how many begun steps on either side of a cursor are considered when
// the server that made it told them in another order.
const window = 64

// unseen returns what somebody with the cursor has not seen of a history, in
// order. Where another server told the begun steps in another order than they
// stand in here, they are sorted out by their marks; should that fail, those near
// the cursor are told once more: nothing is lost.
func unseen(all []Event, c cursor) []Event {
	if i := slices.IndexFunc(all, func(e Event) bool { return e.cursor == c }); i >= 0 {
		return all[i+1:]
	}
	var (
		sum         uint32
		behind, far []int // indices of begun steps: up to the position, and beyond it
		passed      bool  // the position
	)
	for i := range all {
		switch e := &all[i]; {
		case !e.begins():
			passed = passed || e.position.compare(c.position) > 0
		case passed:
			far = append(far, i)
		default:
			behind = append(behind, i)
			sum += mark(e.No, e.Dispatch)
		}
	}
	behind = behind[max(0, len(behind)-window):]
	far = far[:min(window, len(far))]
	flipped := differing(all, behind, far, c.begun-sum)
	var out []Event
	passed = false
	for i := range all {
		e := &all[i]
		if !e.begins() {
			passed = passed || e.position.compare(c.position) > 0
		}
		seen := !passed
		if e.begins() && flipped[i] {
			seen = !seen
		}
		if !seen {
			out = append(out, *e)
		}
	}
	return out
}

// differing finds at most two begun steps whose being seen, or not, explains the
// difference; else all that are behind count as not seen.
func differing(all []Event, behind, far []int, difference uint32) map[int]bool {
	type change struct {
		i  int
		by uint32
	}
	var changes []change
	for _, i := range behind {
		changes = append(changes, change{i, -mark(all[i].No, all[i].Dispatch)})
	}
	for _, i := range far {
		changes = append(changes, change{i, mark(all[i].No, all[i].Dispatch)})
	}
	if difference == 0 {
		return nil
	}
	for a := range changes {
		if changes[a].by == difference {
			return map[int]bool{changes[a].i: true}
		}
		for b := range changes[:a] {
			if changes[a].by+changes[b].by == difference {
				return map[int]bool{changes[a].i: true, changes[b].i: true}
			}
		}
	}
	out := map[int]bool{}
	for _, i := range behind {
		out[i] = true
	}
	return out
}
