package system

import (
	"crypto/rand"

	"github.com/tasker-go/tasker/core/ports"
)

// Secrets makes secrets from the system's source of randomness.
type Secrets struct{}

var _ ports.Secrets = Secrets{}

// Secret implements ports.Secrets. Where the system has no randomness the
// process ends, rather than make a secret that can be guessed.
func (Secrets) Secret() (s [32]byte) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}
