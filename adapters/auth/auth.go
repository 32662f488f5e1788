// Package auth says who is asking, for both doors. It knows API keys and
// nothing of how a door carries them.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// DefaultHeader is the header, and gRPC metadata key, of API keys.
const DefaultHeader = "X-API-Key"

// Key is an API key and what it allows.
type Key struct {
	Key         string
	Permissions []access.Permission // none means that it may do everything
	Subject     string              // whose it is; stands in the audit
}

// What was wrong with credentials: the value under MetaReason in the Meta of a
// fault unauthenticated.
const (
	MetaReason = "reason"
	Missing    = "missing"   // there are none
	Invalid    = "invalid"   // they are not known here
	Malformed  = "malformed" // they cannot be read
)

// Keys checks credentials. It is safe for concurrent use.
type Keys struct {
	header string
	known  []known
}

// known is a key without the key.
type known struct {
	hash      [sha256.Size]byte
	principal access.Principal
}

// New returns the check for keys that arrive under the header, DefaultHeader
// when empty. Without keys everybody may do everything.
func New(keys []Key, header string) *Keys {
	if header == "" {
		header = DefaultHeader
	}
	k := &Keys{header: header, known: make([]known, len(keys))}
	for i, key := range keys {
		subject := key.Subject
		if subject == "" {
			subject = "api_key"
		}
		k.known[i] = known{
			hash: sha256.Sum256([]byte(key.Key)),
			principal: access.Principal{
				Kind: access.KindKey, ID: subject, Subject: subject, Permissions: key.Permissions, All: len(key.Permissions) == 0,
			},
		}
	}
	return k
}

// Header returns the name under which keys arrive.
func (k *Keys) Header() string { return k.header }

// Required reports whether credentials are asked for at all.
func (k *Keys) Required() bool { return len(k.known) > 0 }

// Authenticate returns who presents the value of the Authorization header and
// the API key; either may be empty. While no keys are known it looks at
// neither. An error is a fault unauthenticated with MetaReason; it never
// repeats what was presented.
func (k *Keys) Authenticate(_ context.Context, authorization, key string) (access.Principal, error) {
	if !k.Required() {
		return access.Anonymous(), nil
	}
	if strings.HasPrefix(authorization, "Bearer ") {
		// A bad token is final, so that a client learns which of two
		// credentials was looked at.
		return access.Principal{}, refuse(Invalid, "bearer tokens are not accepted here; send an API key as %s alone", k.header)
	}
	switch {
	case key == "":
		return access.Principal{}, refuse(Missing, "credentials are missing; send an API key as %s", k.header)
	case !visible(key):
		return access.Principal{}, refuse(Malformed, "%s has characters other than visible ASCII", k.header)
	}
	if p, ok := k.find(key); ok {
		return p, nil
	}
	return access.Principal{}, refuse(Invalid, "the API key in %s is not known", k.header)
}

// find compares with every key, whichever matches: how long it takes says
// nothing about the keys.
func (k *Keys) find(key string) (access.Principal, bool) {
	hash := sha256.Sum256([]byte(key))
	found := -1
	for i := range k.known {
		same := subtle.ConstantTimeCompare(hash[:], k.known[i].hash[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return access.Principal{}, false
	}
	return k.known[found].principal, true
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func refuse(reason, format string, args ...any) error {
	return fault.New(fault.CodeUnauthenticated, format, args...).With(MetaReason, reason)
}
