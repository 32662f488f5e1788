package task

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Identity is a SHA-256; see Identify.
type Identity [32]byte

// Strategy says when two requests for a template are the same request.
type Strategy string

// The strategies of the contract.
const (
	Strict         Strategy = "strict"          // same template and same context
	CallerProvided Strategy = "caller_provided" // same template and same idempotency key
	AlwaysUnique   Strategy = "always_unique"   // never
)

// Name is the identity of a template as requests name it.
type Name struct {
	Namespace, Name, Version string
}

// ErrNoKey is returned when a strategy needs an idempotency key that is missing.
var ErrNoKey = fmt.Errorf("templates with the strategy %s need an idempotency_key", CallerProvided)

// Identify returns the identity of a request. A key overrides the strategy.
// The context is its canonical text. The zero Identity means that the request
// is like no other.
func Identify(s Strategy, name Name, context []byte, key string) (Identity, error) {
	switch {
	case key != "":
		return digest(name, "key", []byte(key)), nil
	case s == CallerProvided:
		return Identity{}, ErrNoKey
	case s == AlwaysUnique:
		return Identity{}, nil
	default:
		return digest(name, "context", context), nil
	}
}

// digest hashes length-prefixed parts, so that no two lists of parts read the
// same.
func digest(name Name, what string, content []byte) Identity {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(name.Namespace), []byte(name.Name), []byte(name.Version), []byte(what), content} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return Identity(h.Sum(nil))
}
