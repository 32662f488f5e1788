// Package auth says who is asking, for both doors. It knows API keys and bearer
// tokens, and nothing of how a door carries them.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// DefaultHeader is the header, and gRPC metadata key, of API keys.
const DefaultHeader = "X-API-Key"

// Key is an API key and what it allows.
type Key struct {
	Key         string
	Permissions []access.Permission // nil means that it may do everything, an empty list nothing
	Namespaces  []string            // what it may see and touch; none means all
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

// Keys checks API keys of the configuration. It is safe for concurrent use.
type Keys struct {
	header string
	tokens *Tokens // nil where no tokens are accepted
	known  []known
	stored stored // keys of the database
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
				Kind: access.KindKey, Subject: subject, Permissions: key.Permissions, All: key.Permissions == nil,
				Namespaces: key.Namespaces,
			},
		}
		k.known[i].principal.ID = hex.EncodeToString(k.known[i].hash[:6])
	}
	return k
}

// Header returns the name under which keys arrive.
func (k *Keys) Header() string { return k.header }

// WithTokens returns the check for these keys, and for bearer tokens as well.
func (k *Keys) WithTokens(t *Tokens) *Keys {
	both := *k
	both.tokens = t
	return &both
}

// Required reports whether credentials are asked for at all.
func (k *Keys) Required() bool { return len(k.known) > 0 || k.tokens != nil || k.stored.any() }

// Authenticate returns who presents the value of the Authorization header and
// the API key; either may be empty. While neither keys nor tokens are accepted
// it looks at neither. An error is a fault unauthenticated with MetaReason; it
// never repeats what was presented.
func (k *Keys) Authenticate(ctx context.Context, authorization, key string) (access.Principal, error) {
	if !k.Required() {
		return access.Anonymous(), nil
	}
	if !printable(authorization) {
		return access.Principal{}, refuse(Malformed, "Authorization has characters other than visible ASCII")
	}
	if token, bearer := strings.CutPrefix(authorization, "Bearer "); bearer {
		// A bad token is final, so that a client learns which of two
		// credentials was looked at.
		if k.tokens == nil {
			return access.Principal{}, refuse(Invalid, "bearer tokens are not accepted here; send an API key as %s alone", k.header)
		}
		return k.tokens.Verify(ctx, token)
	}
	switch {
	case key == "":
		return access.Principal{}, refuse(Missing, "credentials are missing; send %s", k.accepted())
	case !visible(key):
		return access.Principal{}, refuse(Malformed, "%s has characters other than visible ASCII", k.header)
	}
	if p, ok := k.find(key); ok {
		return p, nil
	}
	if p, ok, err := k.stored.present(key, time.Now()); ok {
		return p, err
	}
	return access.Principal{}, refuse(Invalid, "the API key in %s is not known", k.header)
}

// accepted says what can be sent.
func (k *Keys) accepted() string {
	switch {
	case k.tokens == nil:
		return "an API key as " + k.header
	case len(k.known) == 0 && !k.stored.any():
		return "a token as Authorization: Bearer"
	default:
		return "a token as Authorization: Bearer, or an API key as " + k.header
	}
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

// printable reports whether s is visible ASCII, spaces and tabs.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] != '\t' && (s[i] < ' ' || s[i] > '~') {
			return false
		}
	}
	return true
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func refuse(reason, format string, args ...any) *fault.Error {
	return fault.New(fault.CodeUnauthenticated, format, args...).With(MetaReason, reason)
}
