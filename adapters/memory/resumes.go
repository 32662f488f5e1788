package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.Resumes = (*Store)(nil)

// Begin implements ports.Resumes. There is no job: whoever tests a resume carries
// it out.
func (s *Store) Begin(ctx context.Context, r ports.BulkResume) error {
	if err := s.reading(ctx); err != nil {
		return err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	r.CreatedAt = s.db.now()
	r.UpdatedAt = r.CreatedAt
	s.db.resumes[r.ID] = r
	return nil
}

// Resume implements ports.Resumes.
func (s *Store) Resume(ctx context.Context, id uuid.UUID) (ports.BulkResume, error) {
	if err := s.reading(ctx); err != nil {
		return ports.BulkResume{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	r, ok := s.db.resumes[id]
	if !ok {
		return r, fault.New(fault.CodeResumeNotFound, "there is no bulk resume %s", id)
	}
	return r, nil
}

// ListResumes implements ports.Resumes.
func (s *Store) ListResumes(ctx context.Context, limit int) ([]ports.BulkResume, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var out []ports.BulkResume
	for _, r := range s.db.resumes {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b ports.BulkResume) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), bytes.Compare(b.ID[:], a.ID[:]))
	})
	return page(out, 0, limit), nil
}

// Save implements ports.Resumes.
func (s *Store) Save(ctx context.Context, r ports.BulkResume) (bool, error) {
	if err := s.reading(ctx); err != nil {
		return false, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	kept, ok := s.db.resumes[r.ID]
	if !ok || kept.State != ports.ResumeCanary && kept.State != ports.ResumeRunning {
		return false, nil
	}
	kept.State, kept.Message, kept.UpdatedAt = r.State, r.Message, s.db.now()
	kept.Resumed, kept.Refused, kept.FailedAgain = max(kept.Resumed, r.Resumed), max(kept.Refused, r.Refused), max(kept.FailedAgain, r.FailedAgain)
	if bytes.Compare(r.After[:], kept.After[:]) > 0 {
		kept.After = r.After
	}
	s.db.resumes[r.ID] = kept
	return true, nil
}

// Count implements ports.Resumes.
func (s *Store) Count(ctx context.Context, f ports.LetterFilter) (int, error) {
	keys, err := s.Next(ctx, f, deadletter.EntryID{}, int(^uint(0)>>1))
	return len(keys), err
}

// Next implements ports.Resumes.
func (s *Store) Next(ctx context.Context, f ports.LetterFilter, after deadletter.EntryID, limit int) ([]ports.LetterKey, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	f.Status = deadletter.Pending
	var out []ports.LetterKey
	for _, l := range s.db.find(f) {
		if bytes.Compare(l.ID[:], after[:]) > 0 {
			out = append(out, ports.LetterKey{ID: l.ID, Task: l.Task, Ordinal: l.Ordinal})
		}
	}
	slices.SortFunc(out, func(a, b ports.LetterKey) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return page(out, 0, limit), nil
}

// Mark implements ports.Resumes.
func (s *Store) Mark(ctx context.Context, id uuid.UUID, letters []deadletter.EntryID) error {
	return s.mark(ctx, letters, func(l *letterRow) {
		if l.Status == deadletter.Pending {
			l.resumedIn = id
		}
	})
}

// Unmark implements ports.Resumes.
func (s *Store) Unmark(ctx context.Context, id uuid.UUID, letters []deadletter.EntryID) error {
	return s.mark(ctx, letters, func(l *letterRow) {
		if l.resumedIn == id {
			l.resumedIn = uuid.UUID{}
		}
	})
}

func (s *Store) mark(ctx context.Context, letters []deadletter.EntryID, change func(*letterRow)) error {
	if err := s.reading(ctx); err != nil {
		return err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	for _, id := range letters {
		if l, ok := s.db.letters[id]; ok {
			change(&l)
			s.db.letters[id] = l
		}
	}
	return nil
}

// Outcome implements ports.Resumes.
func (s *Store) Outcome(ctx context.Context, id uuid.UUID) (ports.ResumeOutcome, error) {
	if err := s.reading(ctx); err != nil {
		return ports.ResumeOutcome{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	o := ports.ResumeOutcome{Now: s.db.now()}
	for _, l := range s.db.letters {
		if l.resumedIn != id || l.Status == deadletter.Pending {
			continue
		}
		o.Resumed++
		switch t := s.db.tasks[l.Task]; {
		case t.letters > l.Ordinal:
			o.FailedAgain++
		case !t.state.Terminal():
			o.UnderWay++
		}
	}
	return o, nil
}
