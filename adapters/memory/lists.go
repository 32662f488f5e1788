package memory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/ports"
)

// Tasks implements ports.TaskReads. It looks at every task, so pages are never
// short and totals always exact.
func (s *Store) Tasks(ctx context.Context, f ports.TaskFilter, p ports.TaskPage) (ports.TaskList, error) {
	if err := s.reading(ctx); err != nil {
		return ports.TaskList{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	list := ports.TaskList{Total: -1}
	var found []ports.TaskRecord
	for id, row := range s.db.tasks {
		r := row.record()
		if selects(f, r) && (f.Error == "" || s.db.failedWith(id, f.Error)) && (p.Order != ports.ByCompletion || !r.CompletedAt.IsZero()) {
			found = append(found, r)
		}
	}
	if p.Total != ports.NoTotal {
		list.Total = int64(len(found))
	}
	before := func(a, b ports.TaskMark) int {
		c := cmp.Or(a.At.Compare(b.At), bytes.Compare(a.ID[:], b.ID[:]))
		if p.Ascending {
			return c
		}
		return -c
	}
	found = slices.DeleteFunc(found, func(r ports.TaskRecord) bool {
		return !p.After.IsZero() && before(mark(p.Order, r), p.After) <= 0
	})
	slices.SortFunc(found, func(a, b ports.TaskRecord) int { return before(mark(p.Order, a), mark(p.Order, b)) })
	found = found[min(p.Skip, len(found)):]
	if len(found) > p.Limit {
		found = found[:p.Limit]
		if list.Next = p.After; p.Limit > 0 {
			list.Next = mark(p.Order, found[p.Limit-1])
		}
	}
	for i := range found {
		s.db.countSteps(&found[i])
	}
	list.Tasks = found
	return list, nil
}

// mark returns the place of a task.
func mark(by ports.TaskOrder, r ports.TaskRecord) ports.TaskMark {
	m := ports.TaskMark{ID: r.ID}
	switch by {
	case ports.ByCreation:
	case ports.ByUpdate:
		m.At = r.UpdatedAt
	case ports.ByCompletion:
		m.At = r.CompletedAt
	}
	return m
}

func (db *Database) countSteps(r *ports.TaskRecord) {
	for _, st := range db.stepsOf(r.ID) {
		switch {
		case st.State == step.Pending:
			r.PendingSteps++
		case st.State == step.InProgress:
			r.InProgressSteps++
		case st.State.Satisfies():
			r.CompletedSteps++
		}
	}
}

// failedWith tells whether a failure of a task has a text. The caller holds the
// lock.
func (db *Database) failedWith(id ident.TaskID, text string) bool {
	text = strings.ToLower(text)
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(strings.ToLower(part), text) })
	}
	for _, st := range db.stepsOf(id) {
		var f step.Failure
		if (st.State == step.Error || st.State == step.WaitingForRetry) && json.Unmarshal(st.Failure, &f) == nil && has(f.Message, f.Type) {
			return true
		}
	}
	for _, l := range db.letters {
		if l.Task == id && slices.ContainsFunc(l.failures, func(f ports.LetterFailure) bool { return has(f.Message, f.Type) }) {
			return true
		}
	}
	return false
}

func selects(f ports.TaskFilter, r ports.TaskRecord) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	in := func(at, from, until time.Time) bool {
		return (from.IsZero() || !at.Before(from)) && (until.IsZero() || at.Before(until))
	}
	for _, tag := range f.Tags {
		if !slices.Contains(r.Tags, tag) {
			return false
		}
	}
	return same(f.Namespace, r.Namespace) && (f.Within == nil || slices.Contains(f.Within, r.Namespace)) &&
		same(f.Name, r.Name) && same(f.Version, r.Version) &&
		same(f.Initiator, r.Initiator) && same(f.SourceSystem, r.SourceSystem) &&
		(!f.CorrelationID.Valid || f.CorrelationID.UUID == r.CorrelationID) &&
		(len(f.States) == 0 || slices.Contains(f.States, r.State)) &&
		in(r.CreatedAt, f.From, f.Until) && in(r.UpdatedAt, f.UpdatedFrom, f.UpdatedUntil) &&
		(f.CompletedFrom.IsZero() && f.CompletedUntil.IsZero() ||
			!r.CompletedAt.IsZero() && in(r.CompletedAt, f.CompletedFrom, f.CompletedUntil))
}
