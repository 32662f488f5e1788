package ports

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// Keys keeps API keys. Rows stay when a key is revoked, for the audit log speaks
// of them. Other servers hear of every change with its commit.
type Keys interface {
	// AllKeys returns every key, revoked and expired ones too, newest first.
	AllKeys(ctx context.Context) ([]access.Key, error)
	// AddKey stores a key and returns it with the time of the database. A name
	// that a key has which is not revoked is a fault key_exists.
	AddKey(ctx context.Context, k access.Key) (access.Key, error)
	// RotateKey gives a key another secret; the one that it had is accepted for
	// the grace, and one from before that no longer. Faults: key_not_found,
	// key_ended when it is revoked or expired.
	RotateKey(ctx context.Context, id string, hash access.SecretHash, grace time.Duration) (access.Key, error)
	// RevokeKey ends a key for good. One that is revoked stays as it is. Faults:
	// key_not_found.
	RevokeKey(ctx context.Context, id, by string) (access.Key, error)
	// KeysUsed notes when keys were last used; a later time that is noted already
	// stays. Keys that do not exist are left out.
	KeysUsed(ctx context.Context, at map[string]time.Time) error
}

// KeyLives returns a fault key_ended for a key that is revoked or expired.
func KeyLives(k access.Key, now time.Time) error {
	switch {
	case k.Revoked():
		return fault.New(fault.CodeKeyEnded, "the key is revoked; create another one")
	case k.Expired(now):
		return fault.New(fault.CodeKeyEnded, "the key has expired; create another one")
	default:
		return nil
	}
}

// KeyStore looks keys up without asking the database. It is safe for concurrent
// use.
type KeyStore interface {
	// Lookup returns the key with an id; revoked and expired ones too.
	Lookup(id string) (access.Key, bool)
	// Any reports whether a key was ever stored, revoked and expired ones among
	// them: revoking the last key must not open the server to everybody.
	Any() bool
	// Used notes that somebody has shown that they hold the key.
	Used(id string, at time.Time)
}

// Change is a row of the audit log: somebody asked for something that changes
// the system.
type Change struct {
	ID        int64 // later ones are larger
	At        time.Time
	Principal access.Principal // who: Kind, ID and Subject
	Operation string
	Target    ChangeTarget
	Namespace string // of the target; empty when it has none
	Reason    string // in the words of who asked
	Outcome   string // ok, or the code of the fault
	RequestID string
	Remote    string // host:port of the client
	Door      string // http, grpc or cli
}

// ChangeTarget is what an operation was about.
type ChangeTarget struct {
	Kind string // task, step, template, namespace, dead_letter, resume or key
	ID   string // as in requests; a template is namespace/name/version
}

// ChangeOK is the Outcome of what was done.
const ChangeOK = "ok"

// ChangeFilter selects rows of the audit log; what is empty selects all.
type ChangeFilter struct {
	Principal   string // the subject
	Operation   string
	Target      string    // the id
	Namespaces  []string  // of the targets; rows without one are left out then
	From, Until time.Time // From included, Until excluded
}

// ChangeLog is the audit log. Rows can be added, and nothing else.
type ChangeLog interface {
	// RecordChange adds a row, with the time of the database.
	RecordChange(ctx context.Context, c Change) error
	// Changes returns rows, newest first, from before a row; 0 for the newest.
	Changes(ctx context.Context, f ChangeFilter, before int64, limit int) ([]Change, error)
}

// Secrets makes what nobody can guess. It is safe for concurrent use.
type Secrets interface {
	// Secret returns 32 random bytes.
	Secret() [32]byte
}
