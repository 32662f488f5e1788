package auth

import (
	"time"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/ports"
)

// stored is keys that are kept in the database, and what their roles allow.
type stored struct {
	keys  ports.KeyStore
	roles access.Roles
}

// WithStored returns the check for these keys, and for stored ones as well. From
// the first stored key on, credentials are asked for; that stays so when all of
// them are revoked.
func (k *Keys) WithStored(keys ports.KeyStore, roles access.Roles) *Keys {
	both := *k
	both.stored = stored{keys: keys, roles: roles}
	return &both
}

// any reports whether there is a stored key.
func (s stored) any() bool { return s.keys != nil && s.keys.Any() }

// present returns whose stored key it is. It is false where the key is none of
// them, or not with this secret; an error says that it has ended.
func (s stored) present(key string, now time.Time) (who access.Principal, known bool, err error) {
	id, secret, ok := access.SplitKey(key)
	if !ok || s.keys == nil {
		return who, false, nil
	}
	k, ok := s.keys.Lookup(id)
	if !ok {
		return who, false, nil
	}
	switch k.Check(secret, now) {
	case access.KeyValid:
		s.keys.Used(id, now)
		return k.Principal(s.roles), true, nil
	case access.KeyRevoked:
		return who, true, refuse(Invalid, "the API key %s is revoked", id)
	case access.KeyExpired:
		return who, true, refuse(Invalid, "the API key %s has expired, or its secret was replaced", id)
	default:
		return who, false, nil
	}
}
