package bootstrap

import (
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
)

// told is what the server tells of its settings: nothing of it is a secret.
func told(cfg *configuration.Config, pools []app.PoolUse, version string) app.Configuration {
	auth, breaker := cfg.Orchestration.Web.Auth, cfg.Common.CircuitBreakers.Components.DatabaseWrites
	var forReads int
	for _, p := range pools {
		if p.Name == readPool {
			forReads = p.Max
		}
	}
	return app.Configuration{
		Environment: cfg.Environment, Version: version,
		Auth:     authFacts(auth),
		Breaker:  app.BreakerFacts{Failures: breaker.MinimumVolume, Probes: breaker.Probes, OpenFor: breaker.Timeout},
		PoolSize: forReads, MaxConnections: cfg.Common.Database.Pool.MaxConnections,
		DeploymentMode: app.DeploymentHybrid, Backend: app.BackendRiver, Queues: []string{river.ControlQueue},
	}
}

// authFacts has nothing of tokens where none are accepted. A key set that is
// found through its issuer is a published one like others: the contract has no
// word of its own for it.
func authFacts(a configuration.Auth) app.AuthFacts {
	facts := app.AuthFacts{
		Enabled: len(a.Keys()) > 0 || a.Tokens(), VerificationMethod: "none", APIKeyHeader: a.APIKeyHeader, APIKeys: len(a.Keys()),
		Strict: a.StrictValidation,
	}
	if a.Tokens() {
		facts.VerificationMethod, facts.Issuer, facts.Audience, facts.Algorithms = string(a.VerificationMethod), a.Issuer, a.Audience, a.Algorithms
	}
	if a.Tokens() && a.VerificationMethod == configuration.VerifyOIDC {
		facts.VerificationMethod = string(configuration.VerifyJWKS)
	}
	return facts
}
