package memory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.Letters = (*Store)(nil)

// letterRow is a dead letter as it is kept.
type letterRow struct {
	ports.Letter
	failures  []ports.LetterFailure
	resumedIn uuid.UUID
}

// writeLetter opens a dead letter, adds failures to it, or closes it; its task
// and steps are written already.
func (x *transaction) writeLetter(c *plan.LetterChange) {
	row := x.db.letters[c.ID]
	if c.Reason != 0 {
		def := x.db.tasks[c.Task].Definition
		row.Letter = ports.Letter{
			ID: c.ID, Task: c.Task, Ordinal: c.Ordinal, OriginalState: c.State, Reason: c.Reason, At: x.now,
			Name:   task.Name{Namespace: def.Namespace, Name: def.Name, Version: def.Version},
			Status: deadletter.Pending, CreatedAt: x.now, UpdatedAt: x.now, Snapshot: x.picture(c.Task),
			Metadata: json.RawMessage(`{}`),
		}
		if c.Note != "" {
			row.Metadata = document(map[string]any{"note": c.Note})
		}
		if len(c.Failures) > 0 {
			row.Fingerprint = c.Failures[0].Fingerprint
		}
	}
	row.failures = slices.Clone(row.failures) // a rollback has the old ones
	for _, f := range c.Failures {
		row.failures = append(row.failures, ports.LetterFailure{
			Ref: f.Ref, Name: f.Name, Dispatch: f.Dispatch, Attempt: f.Attempt, At: x.now,
			Type: f.Type, Message: f.Message, Fingerprint: f.Fingerprint,
		})
	}
	if c.Closed != 0 && row.Status == deadletter.Pending {
		row.Status, row.ResolvedAt, row.UpdatedAt = c.Closed, x.now, x.now
		row.ResolvedBy, row.Notes = cmp.Or(c.By, row.ResolvedBy), cmp.Or(c.Why, row.Notes)
	}
	set(x, x.db.letters, c.ID, row)
}

// picture is a task with its steps, those in error first.
func (x *transaction) picture(id ident.TaskID) json.RawMessage {
	t := x.db.tasks[id]
	type picturedStep struct {
		Name        string          `json:"name"`
		State       string          `json:"state"`
		Attempts    int32           `json:"attempts"`
		MaxAttempts int32           `json:"max_attempts"`
		LostLeases  int32           `json:"lost_leases,omitempty"`
		Error       json.RawMessage `json:"error,omitempty"`
	}
	steps := x.db.stepsOf(id)
	slices.SortStableFunc(steps, func(a, b ports.StepRecord) int { return cmp.Compare(rank(a.State), rank(b.State)) })
	pictured := make([]picturedStep, len(steps))
	for i, s := range steps {
		pictured[i] = picturedStep{
			Name: s.Name, State: s.State.String(), Attempts: s.Attempts, MaxAttempts: s.MaxAttempts,
			LostLeases: x.db.steps[s.Ref].losses, Error: s.Failure,
		}
	}
	return document(map[string]any{
		"task_uuid": id.String(), "namespace": t.Definition.Namespace, "task_name": t.Definition.Name,
		"version": t.Definition.Version, "current_state": t.state.String(), "snapshot_timestamp": x.now,
		"time_in_state_minutes": int(x.now.Sub(t.entered).Minutes()),
		"task_details": map[string]any{
			"correlation_id": t.CorrelationID, "priority": t.Priority, "requested_at": t.RequestedAt, "created_at": t.created,
			"initiator": t.Initiator, "source_system": t.SourceSystem, "reason": t.Reason, "tags": t.Tags,
		},
		"context": t.Context, "total_steps": t.counters.Total, "failed_steps": t.counters.Failed, "steps": pictured,
	})
}

func rank(s step.State) int {
	switch s {
	case step.Error:
		return 0
	case step.Complete:
		return 2
	default:
		return 1
	}
}

// document is a value made here as JSON.
func document(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of plain values and checked documents always marshal
	}
	return raw
}

// find returns the dead letters that a filter selects, in no order. The caller
// holds the lock.
func (db *Database) find(f ports.LetterFilter) []letterRow {
	var out []letterRow
	same := func(want, have string) bool { return want == "" || want == have }
	within := f.Namespaces()
	for _, l := range db.letters {
		known := slices.ContainsFunc(l.failures, func(x ports.LetterFailure) bool { return x.Fingerprint == f.Fingerprint })
		if (f.Status == 0 || f.Status == l.Status) && (len(f.Reasons) == 0 || slices.Contains(f.Reasons, l.Reason)) &&
			(within == nil || slices.Contains(within, l.Name.Namespace)) && same(f.Name, l.Name.Name) && same(f.Version, l.Name.Version) &&
			(f.Fingerprint == "" || known) &&
			(f.From.IsZero() || !l.At.Before(f.From)) && (f.Until.IsZero() || l.At.Before(f.Until)) {
			out = append(out, l)
		}
	}
	return out
}

// Letters implements ports.Letters.
func (s *Store) Letters(ctx context.Context, f ports.LetterFilter, skip, limit int) ([]ports.Letter, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	found := s.db.find(f)
	slices.SortFunc(found, func(a, b letterRow) int {
		return cmp.Or(b.At.Compare(a.At), bytes.Compare(b.ID[:], a.ID[:]))
	})
	var out []ports.Letter
	for _, l := range page(found, skip, limit) {
		out = append(out, l.Letter)
	}
	return out, nil
}

func page[T any](all []T, skip, limit int) []T {
	all = all[min(skip, len(all)):]
	return all[:min(limit, len(all))]
}

// Letter implements ports.Letters.
func (s *Store) Letter(ctx context.Context, id deadletter.EntryID) (ports.Letter, error) {
	if err := s.reading(ctx); err != nil {
		return ports.Letter{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	l, ok := s.db.letters[id]
	if !ok {
		return ports.Letter{}, letterNotFound(id)
	}
	return l.Letter, nil
}

func letterNotFound(id deadletter.EntryID) *fault.Error {
	return fault.New(fault.CodeDeadLetterNotFound, "there is no dead letter %s", id)
}

// LetterOf implements ports.Letters.
func (s *Store) LetterOf(ctx context.Context, id ident.TaskID) (ports.Letter, error) {
	if err := s.reading(ctx); err != nil {
		return ports.Letter{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	l, ok := s.db.letters[deadletter.ID(id, s.db.tasks[id].letters)]
	if !ok {
		return ports.Letter{}, fault.New(fault.CodeDeadLetterNotFound, "task %s has no dead letter", id)
	}
	return l.Letter, nil
}

// Failures implements ports.Letters.
func (s *Store) Failures(ctx context.Context, id deadletter.EntryID, limit int) ([]ports.LetterFailure, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	return slices.Clone(page(s.db.letters[id].failures, 0, limit)), nil
}

// Stats implements ports.Letters.
func (s *Store) Stats(ctx context.Context, within []string) ([]ports.LetterStat, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var out []ports.LetterStat
	for _, reason := range deadletter.Reasons() {
		x := ports.LetterStat{Reason: reason}
		minutes := 0.0
		for _, l := range s.db.find(ports.LetterFilter{Reasons: []deadletter.Reason{reason}, Within: within}) {
			x.Total++
			*map[deadletter.Status]*int64{
				deadletter.Pending: &x.Pending, deadletter.ManuallyResolved: &x.Resolved,
				deadletter.PermanentlyFailed: &x.Failed, deadletter.Cancelled: &x.Cancelled,
			}[l.Status]++
			if x.Oldest.IsZero() || l.At.Before(x.Oldest) {
				x.Oldest = l.At
			}
			if l.At.After(x.Newest) {
				x.Newest = l.At
			}
			until := l.ResolvedAt
			if until.IsZero() {
				until = s.db.now()
			}
			minutes += until.Sub(l.At).Minutes()
		}
		if x.Total > 0 {
			x.AverageMinutes = minutes / float64(x.Total)
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b ports.LetterStat) int { return cmp.Compare(a.Reason.String(), b.Reason.String()) })
	return out, nil
}

// Groups implements ports.Letters.
func (s *Store) Groups(ctx context.Context, f ports.LetterFilter, limit int) ([]ports.LetterGroup, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	groups := map[string]*ports.LetterGroup{}
	for _, l := range s.db.find(f) {
		counted := map[string]bool{}
		for _, x := range l.failures {
			if f.Fingerprint != "" && f.Fingerprint != x.Fingerprint {
				continue
			}
			g := groups[x.Fingerprint]
			if g == nil {
				g = &ports.LetterGroup{Fingerprint: x.Fingerprint, First: x.At}
				groups[x.Fingerprint] = g
			}
			g.Failures++
			if !counted[x.Fingerprint] {
				counted[x.Fingerprint] = true
				g.Letters++
			}
			if x.At.Before(g.First) {
				g.First = x.At
			}
			if !x.At.Before(g.Last) {
				g.Last, g.Name, g.Step, g.Type, g.Message = x.At, l.Name, x.Name, x.Type, x.Message
			}
		}
	}
	var out []ports.LetterGroup
	for _, g := range groups {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b ports.LetterGroup) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), cmp.Compare(b.Failures, a.Failures), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return page(out, 0, limit), nil
}

// Investigations implements ports.Letters.
func (s *Store) Investigations(ctx context.Context, within []string, limit int) ([]ports.Investigation, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var out []ports.Investigation
	now := s.db.now()
	for _, l := range s.db.find(ports.LetterFilter{Status: deadletter.Pending, Within: within}) {
		minutes, t := now.Sub(l.At).Minutes(), s.db.tasks[l.Task]
		out = append(out, ports.Investigation{
			Letter: l.Letter, MinutesInDLQ: minutes, PriorityScore: l.Reason.Weight() + minutes, CurrentState: t.state,
			StateMinutes: int32(now.Sub(t.entered).Minutes()),
		})
	}
	slices.SortFunc(out, func(a, b ports.Investigation) int {
		return cmp.Or(cmp.Compare(b.PriorityScore, a.PriorityScore), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return page(out, 0, limit), nil
}

// Standing implements ports.Letters.
func (s *Store) Standing(ctx context.Context, f ports.StandingFilter) ([]ports.StandingTask, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var out []ports.StandingTask
	now := s.db.now()
	before := now.Add(-f.Age)
	for id, t := range s.db.tasks {
		if !slices.Contains(f.States, t.state) || t.entered.After(before) ||
			f.Templates != nil && !slices.Contains(f.Templates, t.Template) || slices.Contains(f.Except, t.Template) ||
			f.Within != nil && !slices.Contains(f.Within, t.Definition.Namespace) {
			continue
		}
		x := ports.StandingTask{
			ID: id, Template: t.Template, State: t.state, EnteredAt: t.entered, CreatedAt: t.created, Now: now,
			Name:     task.Name{Namespace: t.Definition.Namespace, Name: t.Definition.Name, Version: t.Definition.Version},
			Priority: t.Priority, Letter: t.letterOpen,
		}
		for _, st := range s.db.stepsOf(id) {
			if st.State == step.InProgress {
				x.Running++
			}
		}
		looked := s.db.letters[deadletter.ID(id, t.letters)].ResolvedAt
		if f.Idle && (x.Letter || x.Running > 0 || looked.After(before)) {
			continue
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b ports.StandingTask) int {
		return cmp.Or(a.EnteredAt.Compare(b.EnteredAt), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return page(out, 0, f.Limit), nil
}

// Update implements ports.Letters.
func (s *Store) Update(ctx context.Context, id deadletter.EntryID, u ports.LetterUpdate) (ports.Letter, error) {
	if err := s.reading(ctx); err != nil {
		return ports.Letter{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	l, ok := s.db.letters[id]
	if !ok {
		return ports.Letter{}, letterNotFound(id)
	}
	if u.If != 0 && u.If != l.Status {
		return ports.Letter{}, fault.New(fault.CodeDeadLetterClosed, "dead letter %s is %s already", id, l.Status).With("status", l.Status.String())
	}
	now, t := s.db.now(), s.db.tasks[l.Task]
	if u.Status != 0 && u.Status != l.Status {
		if u.Status == deadletter.Pending && t.state.Terminal() && t.state != task.Error {
			return ports.Letter{}, fault.New(fault.CodeTaskFinished,
				"dead letter %s cannot be opened again: its task is %s", id, t.state).With("state", t.state.String())
		}
		if u.Status == deadletter.Pending && (l.Ordinal != t.letters || t.letterOpen) {
			return ports.Letter{}, fault.New(fault.CodeDeadLetterOld,
				"dead letter %s cannot be opened again: its task has had a newer one since", id)
		}
		if u.Status == deadletter.Pending || l.Status == deadletter.Pending {
			t.letterOpen, t.letterStale = u.Status == deadletter.Pending, false
			s.db.tasks[l.Task] = t
		}
		if l.Status, l.ResolvedAt = u.Status, now; u.Status == deadletter.Pending {
			l.ResolvedAt = time.Time{}
		}
	}
	l.Notes, l.ResolvedBy, l.UpdatedAt = cmp.Or(u.Notes, l.Notes), cmp.Or(u.ResolvedBy, l.ResolvedBy), now
	if u.Metadata != nil {
		l.Metadata = slices.Clone(u.Metadata)
	}
	s.db.letters[id] = l
	return l.Letter, nil
}
