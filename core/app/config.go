package app

import (
	"context"
	"time"
)

// Configuration is what the server tells of its settings. It has no field that
// could hold a secret.
type Configuration struct {
	At             time.Time
	Environment    string
	Version        string
	Auth           AuthFacts
	Breaker        BreakerFacts
	PoolSize       int // connections that are kept for requests that read
	MaxConnections int // of all pools together
	DeploymentMode string
	Backend        string   // what the queues are in
	Queues         []string // the server's own; those of handlers come and go
}

// AuthFacts is how callers are recognised.
type AuthFacts struct {
	Enabled            bool
	VerificationMethod string // public_key, jwks or none
	Issuer, Audience   string // of tokens; empty where none are accepted
	APIKeyHeader       string
	APIKeys            int  // that are configured
	Strict             bool // a credential with an unknown permission is refused
	Algorithms         []string
}

// BreakerFacts is when the breaker around database writes opens and closes.
type BreakerFacts struct {
	Failures, Probes int
	OpenFor          time.Duration
}

// Words of the contract about how work reaches workers, and where it waits.
const (
	// DeploymentHybrid is to be told of work, and to look for it now and then.
	DeploymentHybrid = "Hybrid"
	// BackendRiver is a queue in PostgreSQL.
	BackendRiver = "river"
)

// GetConfig returns what the server tells of its settings.
func (a *Application) GetConfig(context.Context) (Configuration, error) {
	c := a.Configuration
	c.At = time.Now().UTC() //nolint:forbidigo // when the answer was made
	return c, nil
}
