package app

import (
	"context"
	"encoding/base32"
	"slices"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/ports"
)

// Security is API keys and the audit log. It is safe for concurrent use.
type Security struct {
	Keys    ports.Keys
	Ring    *KeyRing // brought up to date with each change; nil where nobody presents keys
	Log     ports.ChangeLog
	Secrets ports.Secrets
	Roles   access.Roles
	Lost    func(c ports.Change, err error) // told of rows that the audit log lacks
}

// SecurityOperations are about API keys, and about who changed what.
type SecurityOperations interface {
	ChangeRecorder
	CreateKey(ctx context.Context, k NewKey) (IssuedKey, error)
	ListKeys(ctx context.Context) ([]access.Key, error)
	GetKey(ctx context.Context, id string) (access.Key, error)
	RotateKey(ctx context.Context, id string, grace time.Duration) (IssuedKey, error)
	RevokeKey(ctx context.Context, id, why string) (access.Key, error)
	ListAudit(ctx context.Context, f ports.ChangeFilter, cursor string, limit int) (ChangePage, error)
}

var _ SecurityOperations = (*Security)(nil)

// NewKey is what somebody wants of a key.
type NewKey struct {
	Name        string
	Permissions []string
	Roles       []string
	Namespaces  []string  // empty for all
	ExpiresAt   time.Time // zero for never
}

// IssuedKey is a key together with what its holder presents, which nobody can
// look up again.
type IssuedKey struct {
	access.Key
	Text string
}

// Bounds of a key.
const (
	maxKeyList = 100
	// DefaultGrace is how long the old secret of a rotated key is accepted when
	// nobody says.
	DefaultGrace = 24 * time.Hour
	maxGrace     = 30 * 24 * time.Hour
)

// keyDigits spells ids and secrets: it can be selected with a double click, and
// has no sign that a shell or a URL minds.
var keyDigits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// idBytes of chance make an id that nobody else has.
const idBytes = 10

// CreateKey makes a key. Nobody can give it more than they have themselves.
// Faults: invalid_field, permission_denied, key_exists.
func (s *Security) CreateKey(ctx context.Context, n NewKey) (IssuedKey, error) {
	id := s.Secrets.Secret()
	k := access.Key{ID: keyDigits.EncodeToString(id[:idBytes]), CreatedBy: PrincipalOf(ctx).Subject}
	noteChange(ctx, targetKey, k.ID, "")
	if err := s.describe(&k, n); err != nil {
		return IssuedKey{}, err
	}
	if err := s.within(ctx, &k); err != nil {
		return IssuedKey{}, err
	}
	secret := s.secret()
	k.Hash = access.HashSecret(secret)
	k, err := s.Keys.AddKey(ctx, k)
	if err != nil {
		return IssuedKey{}, err
	}
	return IssuedKey{Key: k, Text: access.KeyText(k.ID, secret)}, s.refresh(ctx)
}

func (s *Security) secret() string {
	b := s.Secrets.Secret()
	return keyDigits.EncodeToString(b[:])
}

// refresh has this server know of its own changes at once. Where that fails the
// news of them is on its way.
func (s *Security) refresh(ctx context.Context) error {
	if s.Ring == nil {
		return nil
	}
	if err := s.Ring.Refresh(ctx); err != nil {
		s.Ring.News()
	}
	return nil
}

// describe fills in what is wanted of a key.
func (s *Security) describe(k *access.Key, n NewKey) error {
	if n.Name == "" {
		return fault.In("name", fault.CodeInvalidField, "name is missing or empty: say whose key it is")
	}
	if err := jsondoc.CheckText("name", n.Name, maxName); err != nil {
		return err
	}
	k.Name, k.ExpiresAt = n.Name, n.ExpiresAt
	now := time.Now() //nolint:forbidigo // as for whoever presents it
	if !n.ExpiresAt.IsZero() && k.Expired(now) {
		return fault.In("expires_at", fault.CodeInvalidField, "expires_at is in the past: %s", n.ExpiresAt.UTC().Format(time.RFC3339))
	}
	for field, list := range map[string][]string{"permissions": n.Permissions, "roles": n.Roles, "namespaces": n.Namespaces} {
		if len(list) > maxKeyList {
			return fault.In(field, fault.CodeInvalidField, "%s has %d items, want at most %d", field, len(list), maxKeyList)
		}
	}
	for i, p := range distinct(n.Permissions) {
		if !access.Known(access.Permission(p)) {
			return fault.In(jsondoc.Item("permissions", i), fault.CodeInvalidField, "there is no permission %q; there are %s, and resource:* for each",
				clip(p), access.Permissions())
		}
		k.Permissions = append(k.Permissions, access.Permission(p))
	}
	for i, r := range distinct(n.Roles) {
		if _, ok := s.Roles[r]; !ok {
			return fault.In(jsondoc.Item("roles", i), fault.CodeInvalidField, "there is no role %q; there are %s", clip(r), s.Roles.Names())
		}
		k.Roles = append(k.Roles, r)
	}
	if len(k.Permissions)+len(k.Roles) == 0 {
		return fault.In("permissions", fault.CodeInvalidField, "a key has to have a permission or a role")
	}
	for i, namespace := range distinct(n.Namespaces) {
		if err := jsondoc.CheckText(jsondoc.Item("namespaces", i), namespace, maxName); err != nil {
			return err
		}
		if namespace == "" {
			return fault.In(jsondoc.Item("namespaces", i), fault.CodeInvalidField, "a namespace is empty; leave namespaces out for all of them")
		}
		k.Namespaces = append(k.Namespaces, namespace)
	}
	return nil
}

// distinct returns each text once, in order.
func distinct(all []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// clip keeps what is repeated to a client short.
func clip(s string) string {
	const longest = 64
	if len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return s
}

// within refuses to give away more than the caller has.
func (s *Security) within(ctx context.Context, k *access.Key) error {
	who := PrincipalOf(ctx)
	if lacks := who.Lacks(k.Principal(s.Roles)); lacks != "" {
		return fault.New(fault.CodePermissionDenied, "nobody can give a key more than they have themselves: these credentials lack %s", lacks)
	}
	return nil
}

// ListKeys returns all keys, newest first, revoked and expired ones too. Who is
// kept to some namespaces sees the keys that are kept to those.
func (s *Security) ListKeys(ctx context.Context) ([]access.Key, error) {
	all, err := s.Keys.AllKeys(ctx)
	who := PrincipalOf(ctx)
	return slices.DeleteFunc(all, func(k access.Key) bool { return !sees(who, &k) }), err
}

func sees(who access.Principal, k *access.Key) bool {
	return who.Lacks(access.Principal{Namespaces: k.Namespaces}) == ""
}

// GetKey returns a key, or a fault key_not_found.
func (s *Security) GetKey(ctx context.Context, id string) (access.Key, error) {
	all, err := s.ListKeys(ctx)
	if err != nil {
		return access.Key{}, err
	}
	for _, k := range all {
		if k.ID == id {
			return k, nil
		}
	}
	return access.Key{}, fault.New(fault.CodeKeyNotFound, "there is no key %q", clip(id))
}

// RotateKey gives a key another secret. The one that it had is accepted for the
// grace, so that its holder has time to change it. Faults: invalid_field,
// key_not_found, key_ended, permission_denied.
func (s *Security) RotateKey(ctx context.Context, id string, grace time.Duration) (IssuedKey, error) {
	noteChange(ctx, targetKey, id, "")
	if grace < 0 || grace > maxGrace {
		return IssuedKey{}, fault.In("grace_seconds", fault.CodeInvalidField, "grace_seconds is %.0f, want 0 to %.0f", grace.Seconds(), maxGrace.Seconds())
	}
	k, err := s.GetKey(ctx, id)
	if err != nil {
		return IssuedKey{}, err
	}
	if err := s.within(ctx, &k); err != nil { // who has the secret has the rights
		return IssuedKey{}, err
	}
	secret := s.secret()
	if k, err = s.Keys.RotateKey(ctx, id, access.HashSecret(secret), grace); err != nil {
		return IssuedKey{}, err
	}
	return IssuedKey{Key: k, Text: access.KeyText(k.ID, secret)}, s.refresh(ctx)
}

// RevokeKey ends a key for good, on every server. Faults: key_not_found.
func (s *Security) RevokeKey(ctx context.Context, id, why string) (access.Key, error) {
	noteChange(ctx, targetKey, id, why)
	if err := checkWho("", why); err != nil {
		return access.Key{}, err
	}
	if _, err := s.GetKey(ctx, id); err != nil {
		return access.Key{}, err
	}
	k, err := s.Keys.RevokeKey(ctx, id, PrincipalOf(ctx).Subject)
	if err != nil {
		return access.Key{}, err
	}
	return k, s.refresh(ctx)
}
