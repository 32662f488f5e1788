package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"
	"time"
)

// keyPrefix begins every stored key as its holder sees it, so that scanners for
// leaked secrets know one when they see it.
const keyPrefix = "tsk_"

// SecretHash is the SHA-256 of a key's secret.
type SecretHash [sha256.Size]byte

// HashSecret returns what is kept of a secret. Secrets are 32 random bytes, so
// nothing is gained by a slow hash.
func HashSecret(secret string) SecretHash { return sha256.Sum256([]byte(secret)) }

// KeyText returns a key as its holder presents it.
func KeyText(id, secret string) string { return keyPrefix + id + "_" + secret }

// SplitKey takes apart what KeyText has put together. It reports whether text
// has that form.
func SplitKey(text string) (id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(text, keyPrefix)
	if !ok {
		return "", "", false
	}
	id, secret, ok = strings.Cut(rest, "_")
	return id, secret, ok && id != "" && secret != ""
}

// Key is a stored API key. It does not have the secret, which nobody can look
// up again. Times are in UTC; the zero time stands for never.
type Key struct {
	ID          string // finds the key; no secret
	Name        string // whose it is, for people; no two that are not revoked share one
	Permissions []Permission
	Roles       []string // names of sets of permissions
	Namespaces  []string // what its holder may see and touch; empty for all

	Hash     SecretHash
	OldHash  SecretHash // of the secret before the last rotation
	OldUntil time.Time  // until when that one is accepted

	CreatedAt time.Time
	CreatedBy string
	ExpiresAt time.Time
	RotatedAt time.Time
	LastUsed  time.Time // to the minute or so
	RevokedAt time.Time
	RevokedBy string
}

// Verdict is what becomes of somebody who presents a key.
type Verdict uint8

// The verdicts. Whoever does not have the secret learns nothing else.
const (
	KeyWrong Verdict = iota + 1
	KeyRevoked
	KeyExpired
	KeyValid
)

// Check compares a secret, in the same time whatever it is.
func (k *Key) Check(secret string, now time.Time) Verdict {
	hash := HashSecret(secret)
	current := subtle.ConstantTimeCompare(hash[:], k.Hash[:])
	old := subtle.ConstantTimeCompare(hash[:], k.OldHash[:])
	switch {
	case current|old == 0:
		return KeyWrong
	case k.Revoked():
		return KeyRevoked
	case current == 0 && !now.Before(k.OldUntil), k.Expired(now):
		return KeyExpired
	default:
		return KeyValid
	}
}

// Revoked reports whether the key was revoked.
func (k *Key) Revoked() bool { return !k.RevokedAt.IsZero() }

// Expired reports whether the key has come to its end.
func (k *Key) Expired(now time.Time) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) }

// Status is active, expired or revoked.
func (k *Key) Status(now time.Time) string {
	switch {
	case k.Revoked():
		return "revoked"
	case k.Expired(now):
		return "expired"
	default:
		return "active"
	}
}

// Principal returns who presents the key. What is not known, because it was
// taken out of the configuration, allows nothing.
func (k *Key) Principal(roles Roles) Principal {
	granted, _, _ := roles.Grant(k.Permissions, k.Roles)
	return Principal{Kind: KindKey, ID: k.ID, Subject: k.Name, Permissions: granted, Namespaces: slices.Clone(k.Namespaces)}
}

// Lacks returns what other may and p may not: a permission, "every permission",
// or a namespace; empty when p may all that other may. Nobody may give away more
// than they have.
func (p Principal) Lacks(other Principal) string {
	if other.All && !p.All {
		return "every permission"
	}
	for _, need := range other.Permissions {
		if !p.May(need) { // "tasks:*" is had only as a whole
			return "the permission " + string(need)
		}
	}
	if !p.Scoped() {
		return ""
	}
	if !other.Scoped() {
		return "all namespaces"
	}
	for _, namespace := range other.Namespaces {
		if !p.Within(namespace) {
			return "the namespace " + namespace
		}
	}
	return ""
}
