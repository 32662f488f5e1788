package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// search finds tasks along several legs at once, each of which has them in the
// order of the list. What comes before the place that every leg has reached is
// settled: nothing can come in between any more.
type search struct {
	l     *lister
	legs  []*leg
	found []ports.TaskMark // selected, by legs

	exact bool           // all that is read is selected
	end   ports.TaskMark // the legs end here, and the list goes on; zero for not
	spent int            // tasks looked at
	turn  int            // how much the last turn could look at,
	rows  int            // and of each leg
}

// leg is one way through the tables.
type leg struct {
	sql              directed // with args after what all have; not for a run of tasks_by_state
	args             []any
	namespace, state string
	after            ports.TaskMark
	ended            bool
}

// search chooses the legs.
func (l *lister) search(ctx context.Context) (*search, error) {
	s := &search{l: l}
	s.exact = l.templates == nil && l.plain() && l.filter.Initiator == "" && l.filter.SourceSystem == "" &&
		len(l.filter.Tags) == 0 && !l.filter.CorrelationID.Valid && l.filter.Error == ""
	open := l.statesAmong(func(st task.State) bool { return !st.Terminal() && !st.Passing() })
	ended := l.statesAmong(task.State.Terminal)
	if len(l.namespaces) == 0 && !l.everywhere() {
		return s, nil // no such template: nothing is selected
	}
	switch l.page.Order {
	case ports.ByCompletion, ports.ByUpdate:
		s.exact = s.exact && l.everywhere()
		if len(ended) > 0 {
			s.add(sqlWalkEnded)
		}
		if l.page.Order == ports.ByUpdate && len(open) > 0 {
			s.add(sqlWalkOpen, l.namespaces, open)
		}
		return s, nil
	case ports.ByCreation:
	}
	switch few, err := l.fewEnded(ctx); {
	case err != nil:
		return nil, err
	case l.filter.CorrelationID.Valid:
		return s, s.byCorrelation(ctx, open)
	case l.filter.Error != "":
		s.add(sqlWalkLetters)
		s.addRuns(l.statesAmong(func(st task.State) bool { return !st.Terminal() && !st.Passing() || st == task.Error }))
	case few:
		s.add(sqlWalkEndedFew)
		if l.filter.CompletedFrom.IsZero() && l.filter.CompletedUntil.IsZero() {
			s.addRuns(open)
		}
	case l.everywhere():
		s.add(sqlWalkTasks)
	default:
		s.addRuns(l.states)
	}
	return s, nil
}

func (s *search) add(sql directed, args ...any) {
	s.legs = append(s.legs, &leg{sql: sql, args: args, after: s.l.page.After})
}

func (s *search) addRuns(states []string) {
	for _, ns := range s.l.namespaces {
		for _, state := range states {
			s.legs = append(s.legs, &leg{namespace: ns, state: state, after: s.l.page.After})
		}
	}
}

// fewEnded tells whether the tasks that ended in the span that the filter names
// can all be looked at.
func (l *lister) fewEnded(ctx context.Context) (bool, error) {
	f := l.filter
	if f.UpdatedFrom.IsZero() && f.UpdatedUntil.IsZero() && f.CompletedFrom.IsZero() && f.CompletedUntil.IsZero() {
		return false, nil
	}
	n := 0
	err := l.tx.QueryRow(ctx, sqlCountEnded, instant(f.UpdatedFrom), instant(f.CompletedFrom),
		instant(f.UpdatedUntil), instant(f.CompletedUntil), fewAtOnce+1).Scan(&n)
	return n <= fewAtOnce, err
}

// spansAtOnce is how many spans of time one page asks for a correlation: more
// than a month.
const spansAtOnce = 3000

// byCorrelation asks the index for tasks that have ended. It is not told of
// others, of which there are fewer.
func (s *search) byCorrelation(ctx context.Context, open []string) error {
	var oldest, newest *ident.TaskID
	if err := s.l.tx.QueryRow(ctx, sqlListEnds).Scan(&oldest, &newest); err != nil || oldest == nil {
		return err
	}
	low, high := max(span(*oldest), span(s.l.since)), min(span(*newest), span(s.l.before))
	if after := s.l.page.After; !after.IsZero() {
		if s.l.page.Ascending {
			low = max(low, span(after.ID))
		} else {
			high = min(high, span(after.ID))
		}
	}
	if high-low >= spansAtOnce {
		if s.l.page.Ascending {
			high = low + spansAtOnce - 1
			s.l.before = spanStart(high + 1)
			s.end.ID = before(s.l.before)
		} else {
			low = high - spansAtOnce + 1
			s.l.since = spanStart(low)
			s.end.ID = s.l.since
		}
	}
	s.add(sqlWalkCorrelation, low, high)
	s.addRuns(open)
	return nil
}

// span is tasker.id_span: a number for every 17 minutes.
func span(id ident.TaskID) int32 { return int32(binary.BigEndian.Uint32(id[:4]) >> 4) }

func spanStart(n int32) (id ident.TaskID) {
	binary.BigEndian.PutUint32(id[:4], uint32(n)<<4) //nolint:gosec // G115: 28 bits
	return id
}

// before returns the id before one.
func before(id ident.TaskID) ident.TaskID {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]--
		if id[i] != 0xff {
			break
		}
	}
	return id
}

// compare puts marks in the order of the list.
func (s *search) compare(a, b ports.TaskMark) int {
	c := cmp.Or(a.At.Compare(b.At), bytes.Compare(a.ID[:], b.ID[:]))
	if s.l.page.Ascending {
		return c
	}
	return -c
}

// reached returns the place up to which all is settled; none when all legs have
// ended.
func (s *search) reached() (ports.TaskMark, bool) {
	var least *leg
	for _, g := range s.legs {
		if !g.ended && (least == nil || s.compare(g.after, least.after) < 0) {
			least = g
		}
	}
	if least == nil {
		return ports.TaskMark{}, false
	}
	return least.after, true
}

// settled returns what is found so far, in order, without what something may
// still come in front of.
func (s *search) settled() []ports.TaskMark {
	slices.SortFunc(s.found, s.compare)
	s.found = slices.Compact(s.found)
	reached, going := s.reached()
	if !going {
		return s.found
	}
	n, at := slices.BinarySearchFunc(s.found, reached, s.compare)
	if at {
		n++
	}
	return s.found[:n]
}

// rest returns where to go on after what is settled; the zero mark for nowhere.
func (s *search) rest() ports.TaskMark {
	if reached, going := s.reached(); going {
		return reached
	}
	return s.end
}

// How much is looked at in one turn, over all legs: little at first, since the
// page may be full then.
const (
	firstTurn = 1_000
	chunk     = 20_000
	leastRows = 8 // of a leg
	denser    = 8 // times as many as of a run are read of a leg that has all namespaces
	scattered = 4 // times the cost of a task whose neighbours are not looked at
)

// run goes on until so many are settled, or that much was looked at. It tells
// whether all that there is has been found.
func (s *search) run(ctx context.Context, want, budget int) (done bool, err error) {
	for {
		live := slices.DeleteFunc(slices.Clone(s.legs), func(g *leg) bool { return g.ended })
		switch {
		case len(live) == 0:
			return s.end.IsZero(), nil
		case s.spent >= budget || s.turn > 0 && len(s.settled()) >= want:
			return false, nil
		}
		rows := chunk
		if s.turn == 0 {
			// What is all selected is found at once along one leg, or few.
			if rows, s.turn = 4*min(want, chunk), firstTurn; s.exact {
				rows = min(want, chunk)
			}
			if len(live) == 1 {
				s.turn = max(s.turn, rows)
			}
		} else {
			s.turn = min(4*s.turn, chunk)
		}
		rows = min(rows, max(leastRows, s.turn/len(live)))
		if s.rows > 0 && len(s.legs) > 1 {
			rows = min(rows, 4*s.rows) // a run is read beyond its end
		}
		s.rows = rows
		if err := s.read(ctx, live, max(1, min(rows, (budget-s.spent)/len(live)))); err != nil {
			return false, err
		}
	}
}

// read reads on by so many rows along each of these legs.
func (s *search) read(ctx context.Context, legs []*leg, rows int) error {
	var runs []*leg
	for _, g := range legs {
		switch {
		case g.state != "":
			runs = append(runs, g)
		default:
			var at *time.Time
			if s.l.page.Order != ports.ByCreation {
				at = instant(g.after.At)
			}
			more := rows
			if len(s.legs) > 1 {
				more = min(chunk, denser*rows)
			}
			args := append(s.l.selection(), int64(more), at, s.from(g))
			var r gathering
			if err := s.l.tx.QueryRow(ctx, s.way(g.sql), append(args, g.args...)...).Scan(r.fields()...); err != nil {
				return err
			}
			s.take(g, &r, more)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	namespaces, states, after := make([]string, len(runs)), make([]string, len(runs)), make([]ident.TaskID, len(runs))
	for i, g := range runs {
		namespaces[i], states[i], after[i] = g.namespace, g.state, s.within(s.from(g))
	}
	read, err := s.l.tx.Query(ctx, s.way(sqlWalkStates), append(s.l.selection(), int64(rows), namespaces, states, after)...)
	if err != nil {
		return err
	}
	var (
		r gathering
		n int32
	)
	_, err = pgx.ForEachRow(read, append([]any{&n}, r.fields()...), func() error {
		s.take(runs[n-1], &r, rows)
		return nil
	})
	return err
}

func (s *search) way(sql directed) string {
	if s.l.page.Ascending {
		return sql.asc
	}
	return sql.desc
}

// from returns the id that a leg reads after.
func (s *search) from(g *leg) ident.TaskID {
	if g.after.IsZero() && !s.l.page.Ascending {
		return lastID
	}
	return g.after.ID
}

// within returns where a run begins that is read after an id: not before the
// bounds of the list.
func (s *search) within(after ident.TaskID) ident.TaskID {
	switch since := s.l.since; {
	case !s.l.page.Ascending && bytes.Compare(s.l.before[:], after[:]) < 0:
		return s.l.before
	case s.l.page.Ascending && bytes.Compare(since[:], after[:]) > 0:
		return before(since) // since itself is in
	default:
		return after
	}
}

// gathering is a row that gathered makes.
type gathering struct {
	read   int
	ids    []ident.TaskID
	times  []time.Time
	last   *ident.TaskID // nil when nothing was read
	lastAt *time.Time
}

func (r *gathering) fields() []any { return []any{&r.read, &r.ids, &r.times, &r.last, &r.lastAt} }

func (s *search) take(g *leg, r *gathering, rows int) {
	if s.spent += r.read; g.state != "" || g.sql == sqlWalkLetters {
		s.spent += (scattered - 1) * r.read
	}
	for i, id := range r.ids {
		s.found = append(s.found, s.mark(id, r.times[i]))
	}
	if g.ended = r.read < rows; !g.ended {
		g.after = s.mark(*r.last, *r.lastAt)
	}
}

func (s *search) mark(id ident.TaskID, at time.Time) ports.TaskMark {
	if s.l.page.Order == ports.ByCreation {
		return ports.TaskMark{ID: id}
	}
	return ports.TaskMark{At: at.UTC(), ID: id}
}
