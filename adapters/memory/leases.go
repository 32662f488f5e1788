package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/ports"
)

var (
	_ ports.Leases      = (*Store)(nil)
	_ ports.Checkpoints = (*Store)(nil)
)

// holder is a server that has renewed.
type holder struct {
	until    time.Time
	declared []plan.Queue
}

// Renew implements ports.Leases.
func (s *Store) Renew(ctx context.Context, lease time.Duration, declared []plan.Queue) error {
	if err := s.reading(ctx); err != nil {
		return err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	s.db.leases[s.server] = holder{until: s.db.clock().Add(lease), declared: slices.Clone(declared)}
	return nil
}

// Holders implements ports.Leases.
func (s *Store) Holders(ctx context.Context) ([]ports.Holder, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var out []ports.Holder
	for no := int32(1); no <= s.db.servers; no++ {
		if h, ok := s.db.leases[no]; ok {
			out = append(out, ports.Holder{
				No: no, Name: fmt.Sprintf("server %d", no), Until: h.until.Add(s.db.offset),
				Live: !s.db.gone[no] && h.until.After(s.db.clock()), Declared: h.declared,
			})
		}
	}
	return out, nil
}

// SaveCheckpoint implements ports.Checkpoints.
func (s *Store) SaveCheckpoint(ctx context.Context, ref ident.StepRef, dispatch int32, checkpoint []byte) (bool, error) {
	if err := s.reading(ctx); err != nil {
		return false, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	row, ok := s.db.steps[ref]
	if !ok || row.state != step.InProgress || row.dispatch != dispatch {
		return false, nil
	}
	row.checkpoint, row.updated = json.RawMessage(slices.Clone(checkpoint)), s.db.now()
	s.db.steps[ref] = row
	return true, nil
}

// lapsed reports whether a server is gone: it ended, or did not renew in time.
// The caller holds the lock.
func (db *Database) lapsed(no int32) bool {
	h, renewed := db.leases[no]
	return db.gone[no] || renewed && h.until.Before(db.clock())
}

// UnservedSteps implements ports.DueStore.
func (s *Store) UnservedSteps(ctx context.Context, age time.Duration, limit int) ([]plan.Wake, error) {
	holders, err := s.Holders(ctx)
	if err != nil {
		return nil, err
	}
	served := map[plan.Queue]bool{}
	for _, h := range holders {
		for _, q := range h.Declared {
			served[q] = served[q] || h.Live
		}
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	seen := map[ident.TaskID]bool{}
	var out []plan.Wake
	for q, jobs := range s.db.jobs {
		for _, j := range jobs {
			t := s.db.tasks[j.ref.Task]
			looked := s.db.letters[deadletter.ID(t.ID, t.letters)].ResolvedAt
			if served[q] || seen[t.ID] || t.letterOpen || s.db.now().Sub(looked) < age || len(out) == limit || s.db.now().Sub(s.db.steps[j.ref].updated) < age {
				continue
			}
			seen[t.ID] = true
			out = append(out, plan.Wake{
				Ref: j.ref, Dispatch: j.dispatch, Cause: plan.Unserved,
				Why: "no worker has declared the handler of a step for " + age.String(),
			})
		}
	}
	return out, nil
}
