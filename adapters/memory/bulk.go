package memory

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.BulkOperations = (*Store)(nil)

// BeginBulk implements ports.BulkOperations. There is no job: whoever uses this
// store carries the operation out.
func (s *Store) BeginBulk(ctx context.Context, b ports.BulkOperation) error {
	if err := s.reading(ctx); err != nil {
		return err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	b.CreatedAt = s.db.now()
	b.UpdatedAt = b.CreatedAt
	s.db.bulk[b.ID] = b
	return nil
}

// Bulk implements ports.BulkOperations.
func (s *Store) Bulk(ctx context.Context, id uuid.UUID) (ports.BulkOperation, error) {
	if err := s.reading(ctx); err != nil {
		return ports.BulkOperation{}, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	b, ok := s.db.bulk[id]
	if !ok {
		return b, fault.New(fault.CodeOperationNotFound, "there is no bulk operation %s", id)
	}
	return b, nil
}

// ListBulk implements ports.BulkOperations.
func (s *Store) ListBulk(ctx context.Context, within []string, limit int) ([]ports.BulkOperation, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var all []ports.BulkOperation
	for _, b := range s.db.bulk {
		outside := func(n string) bool { return !slices.Contains(within, n) }
		if within == nil || b.Within != nil && !slices.ContainsFunc(b.Within, outside) {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b ports.BulkOperation) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return bytes.Compare(b.ID[:], a.ID[:])
	})
	return all[:min(limit, len(all))], nil
}

// SaveBulk implements ports.BulkOperations.
func (s *Store) SaveBulk(ctx context.Context, b ports.BulkOperation) (bool, error) {
	if err := s.reading(ctx); err != nil {
		return false, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	was, ok := s.db.bulk[b.ID]
	if !ok || was.State != ports.BulkRunning {
		return false, nil
	}
	was.State, was.Message, was.UpdatedAt = b.State, b.Message, s.db.now()
	was.Done, was.Refused = max(was.Done, b.Done), max(was.Refused, b.Refused)
	if bytes.Compare(b.After[:], was.After[:]) > 0 {
		was.After = b.After
	}
	s.db.bulk[b.ID] = was
	return true, nil
}
