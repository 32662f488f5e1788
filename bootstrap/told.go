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
		Auth: app.AuthFacts{
			Enabled: len(auth.Keys()) > 0, VerificationMethod: "none", APIKeyHeader: auth.APIKeyHeader, APIKeys: len(auth.Keys()), Strict: true,
		},
		Breaker:  app.BreakerFacts{Failures: breaker.MinimumVolume, Probes: breaker.Probes, OpenFor: breaker.Timeout},
		PoolSize: forReads, MaxConnections: cfg.Common.Database.Pool.MaxConnections,
		DeploymentMode: app.DeploymentHybrid, Backend: app.BackendRiver, Queues: []string{river.ControlQueue},
	}
}
