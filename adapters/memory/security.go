package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// Security keeps API keys and the audit log. It is safe for concurrent use.
type Security struct {
	now func() time.Time

	mu      sync.Mutex
	keys    map[string]access.Key
	changes []ports.Change
}

var (
	_ ports.Keys      = (*Security)(nil)
	_ ports.ChangeLog = (*Security)(nil)
)

// NewSecurity returns an empty store whose time is clock's.
func NewSecurity(clock func() time.Time) *Security {
	return &Security{now: func() time.Time { return clock().UTC() }, keys: map[string]access.Key{}}
}

// AllKeys implements ports.Keys.
func (s *Security) AllKeys(context.Context) ([]access.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.keys), func(a, b access.Key) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	}), nil
}

// AddKey implements ports.Keys.
func (s *Security) AddKey(_ context.Context, k access.Key) (access.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.keys {
		if other.Name == k.Name && !other.Revoked() {
			return access.Key{}, fault.In("name", fault.CodeKeyExists,
				"there is a key named %q already; revoke it first, or choose another name", k.Name)
		}
	}
	k.CreatedAt = s.now()
	s.keys[k.ID] = k
	return k, nil
}

// alter changes a key.
func (s *Security) alter(id string, do func(k *access.Key) error) (access.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[id]
	if !ok {
		return access.Key{}, fault.New(fault.CodeKeyNotFound, "there is no key %s", id)
	}
	if err := do(&k); err != nil {
		return access.Key{}, err
	}
	s.keys[id] = k
	return k, nil
}

// RotateKey implements ports.Keys.
func (s *Security) RotateKey(_ context.Context, id string, hash access.SecretHash, grace time.Duration) (access.Key, error) {
	return s.alter(id, func(k *access.Key) error {
		now := s.now()
		if err := ports.KeyLives(*k, now); err != nil {
			return err
		}
		k.OldHash, k.OldUntil, k.Hash, k.RotatedAt = k.Hash, now.Add(grace), hash, now
		return nil
	})
}

// RevokeKey implements ports.Keys.
func (s *Security) RevokeKey(_ context.Context, id, by string) (access.Key, error) {
	return s.alter(id, func(k *access.Key) error {
		if !k.Revoked() {
			k.RevokedAt, k.RevokedBy = s.now(), by
		}
		return nil
	})
}

// KeysUsed implements ports.Keys.
func (s *Security) KeysUsed(_ context.Context, at map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, t := range at {
		if k, ok := s.keys[id]; ok && t.After(k.LastUsed) {
			k.LastUsed = t.UTC()
			s.keys[id] = k
		}
	}
	return nil
}

// RecordChange implements ports.ChangeLog.
func (s *Security) RecordChange(_ context.Context, c ports.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := c.Principal
	c.ID, c.At = int64(len(s.changes)+1), s.now()
	c.Principal = access.Principal{Kind: p.Kind, ID: p.ID, Subject: p.Subject}
	s.changes = append(s.changes, c)
	return nil
}

// Changes implements ports.ChangeLog.
func (s *Security) Changes(_ context.Context, f ports.ChangeFilter, before int64, limit int) ([]ports.Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []ports.Change
	for _, c := range slices.Backward(s.changes) {
		switch {
		case len(out) == limit:
			return out, nil
		case before != 0 && c.ID >= before,
			f.Principal != "" && c.Principal.Subject != f.Principal,
			f.Operation != "" && c.Operation != f.Operation,
			f.Target != "" && c.Target.ID != f.Target,
			f.Namespaces != nil && !slices.Contains(f.Namespaces, c.Namespace),
			!f.From.IsZero() && c.At.Before(f.From),
			!f.Until.IsZero() && !c.At.Before(f.Until):
		default:
			out = append(out, c)
		}
	}
	return out, nil
}
