package webhook

import (
	"context"
	"log/slog"
	"sync"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/ports"
)

// remembered is how many dead letters a Logged knows to have told of.
const remembered = 10_000

// Logged is a ports.Announcer that logs and counts each dead letter once, then
// has the next one deliver it, as often as it takes. It is safe for concurrent
// use.
type Logged struct {
	next  ports.Announcer // nil for none
	count func(deadletter.Reason)
	log   *slog.Logger

	mu  sync.Mutex
	now map[deadletter.EntryID]bool // of the newest
	old map[deadletter.EntryID]bool // of those before
}

var _ ports.Announcer = (*Logged)(nil)

// NewLogged returns an announcer that logs, and counts with count.
func NewLogged(next ports.Announcer, count func(deadletter.Reason), log *slog.Logger) *Logged {
	return &Logged{next: next, count: count, log: log, now: map[deadletter.EntryID]bool{}}
}

// Announce implements ports.Announcer.
func (a *Logged) Announce(ctx context.Context, l ports.Letter) error {
	if a.first(l.ID) {
		a.log.WarnContext(ctx, "a task needs a person", "dead_letter", l.ID.String(), "task", l.Task.String(),
			"namespace", l.Name.Namespace, "name", l.Name.Name, "version", l.Name.Version, "reason", l.Reason.String(),
			"state", l.OriginalState.String(), "fingerprint", l.Fingerprint, "at", l.At, "status", l.Status.String())
		a.count(l.Reason)
	}
	if a.next == nil {
		return nil
	}
	return a.next.Announce(ctx, l)
}

// first reports whether a dead letter is new here.
func (a *Logged) first(id deadletter.EntryID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now[id] || a.old[id] {
		return false
	}
	if len(a.now) >= remembered {
		a.old, a.now = a.now, map[deadletter.EntryID]bool{}
	}
	a.now[id] = true
	return true
}
