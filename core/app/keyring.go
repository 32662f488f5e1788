package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/ports"
)

// KeyRing holds all stored keys, so that whoever presents one costs no query. It
// is read again when any server says that keys have changed, and now and then in
// case that was not heard. It is safe for concurrent use.
type KeyRing struct {
	keys  ports.Keys
	log   *slog.Logger
	held  atomic.Pointer[map[string]*heldKey]
	stale chan struct{}
}

// heldKey is a key and when it was last used, in nanoseconds since 1970.
type heldKey struct {
	access.Key
	used, noted atomic.Int64
}

var _ ports.KeyStore = (*KeyRing)(nil)

// How often keys are read without news of them, and their use is written.
const (
	ringRefresh = 10 * time.Second
	ringFlush   = time.Minute
)

// NewKeyRing returns a ring without keys; Refresh reads them.
func NewKeyRing(keys ports.Keys, log *slog.Logger) *KeyRing {
	r := &KeyRing{keys: keys, log: log, stale: make(chan struct{}, 1)}
	r.held.Store(&map[string]*heldKey{})
	return r
}

// Lookup implements ports.KeyStore.
func (r *KeyRing) Lookup(id string) (access.Key, bool) {
	h, ok := (*r.held.Load())[id]
	if !ok {
		return access.Key{}, false
	}
	return h.Key, true
}

// Any implements ports.KeyStore.
func (r *KeyRing) Any() bool { return len(*r.held.Load()) > 0 }

// Used implements ports.KeyStore.
func (r *KeyRing) Used(id string, at time.Time) {
	// To the second, so that many requests with one key do not write one word.
	if h, ok := (*r.held.Load())[id]; ok && at.UnixNano()-h.used.Load() > int64(time.Second) {
		h.used.Store(at.UnixNano())
	}
}

// Refresh reads all keys.
func (r *KeyRing) Refresh(ctx context.Context) error {
	all, err := r.keys.AllKeys(ctx)
	if err != nil {
		return err
	}
	before, now := *r.held.Load(), make(map[string]*heldKey, len(all))
	for _, k := range all {
		h := &heldKey{Key: k}
		if was, ok := before[k.ID]; ok {
			h.used.Store(was.used.Load())
			h.noted.Store(was.noted.Load())
		}
		now[k.ID] = h
	}
	r.held.Store(&now)
	return nil
}

// News has the ring read again soon: somebody has changed keys.
func (r *KeyRing) News() {
	select {
	case r.stale <- struct{}{}:
	default: // it will be read anyway
	}
}

// Run keeps the ring up to date until ctx ends. While the database cannot be
// reached the keys stay as they were last read.
func (r *KeyRing) Run(ctx context.Context) error {
	refresh, flush := time.NewTicker(ringRefresh), time.NewTicker(ringFlush)
	defer refresh.Stop()
	defer flush.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
			defer cancel()
			return r.Flush(last)
		case <-r.stale:
			err = r.Refresh(ctx)
		case <-refresh.C:
			err = r.Refresh(ctx)
		case <-flush.C:
			err = r.Flush(ctx)
		}
		if err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "API keys cannot be read or noted", "error", err)
		}
	}
}

// Flush writes when keys were used since the last time, in one statement, or
// none where none was.
func (r *KeyRing) Flush(ctx context.Context) error {
	used := map[string]time.Time{}
	held := *r.held.Load()
	for id, h := range held {
		if at := h.used.Load(); at != h.noted.Load() {
			used[id] = time.Unix(0, at).UTC()
		}
	}
	if len(used) == 0 {
		return nil
	}
	if err := r.keys.KeysUsed(ctx, used); err != nil {
		return err
	}
	for id, at := range used {
		held[id].noted.Store(at.UnixNano())
	}
	return nil
}
