package http

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/app"
)

// ConfigResponse is what the server tells of its settings; secrets are not
// among them.
type ConfigResponse struct {
	Metadata        ConfigMetadata  `json:"metadata"`
	Auth            ConfigAuth      `json:"auth"`
	CircuitBreakers ConfigBreaker   `json:"circuit_breakers" doc:"Of the breaker around database writes."`
	DatabasePools   ConfigPools     `json:"database_pools"`
	DeploymentMode  string          `json:"deployment_mode" enum:"Hybrid,EventDrivenOnly,PollingOnly,Disabled,Unknown" doc:"How the server learns of work: Hybrid is to be told, and to look now and then."`
	Messaging       ConfigMessaging `json:"messaging"`
}

// ConfigMetadata says whose configuration it is, and of when.
type ConfigMetadata struct {
	Timestamp   time.Time `json:"timestamp"`
	Environment string    `json:"environment"`
	Version     string    `json:"version"`
}

// ConfigAuth is how callers are recognised.
type ConfigAuth struct {
	Enabled            bool     `json:"enabled"`
	VerificationMethod string   `json:"verification_method" enum:"public_key,jwks,none"`
	JWTIssuer          string   `json:"jwt_issuer"`
	JWTAudience        string   `json:"jwt_audience"`
	APIKeyHeader       string   `json:"api_key_header"`
	APIKeyCount        int      `json:"api_key_count" doc:"Keys of the configuration."`
	StrictValidation   bool     `json:"strict_validation"`
	AllowedAlgorithms  []string `json:"allowed_algorithms" nullable:"false"`
}

// ConfigBreaker is when a breaker opens and closes.
type ConfigBreaker struct {
	Enabled          bool  `json:"enabled"`
	FailureThreshold int   `json:"failure_threshold" doc:"Failures in a row that open it."`
	TimeoutSeconds   int64 `json:"timeout_seconds"`
	SuccessThreshold int   `json:"success_threshold" doc:"Good probes that close it."`
}

// ConfigPools is the sizes of the pools of connections.
type ConfigPools struct {
	WebAPIPoolSize       int `json:"web_api_pool_size" doc:"Most connections of requests that read."`
	WebAPIMaxConnections int `json:"web_api_max_connections" doc:"Most connections of all pools together."`
}

// ConfigMessaging is where work waits.
type ConfigMessaging struct {
	Backend string   `json:"backend"`
	Queues  []string `json:"queues" nullable:"false" doc:"The server's own; each handler of each namespace has one besides."`
}

func registerConfig(a *api, s Service) {
	register(a, app.GetConfig, func(ctx context.Context, _ *nothing) (*read[ConfigResponse], error) {
		c, err := s.GetConfig(ctx)
		if err != nil {
			return nil, err
		}
		return &read[ConfigResponse]{Body: configResponse(&c)}, nil
	})
}

func configResponse(c *app.Configuration) ConfigResponse {
	return ConfigResponse{
		Metadata: ConfigMetadata{Timestamp: c.At.UTC(), Environment: c.Environment, Version: c.Version},
		Auth: ConfigAuth{
			Enabled: c.Auth.Enabled, VerificationMethod: c.Auth.VerificationMethod, JWTIssuer: c.Auth.Issuer, JWTAudience: c.Auth.Audience,
			APIKeyHeader: c.Auth.APIKeyHeader, APIKeyCount: c.Auth.APIKeys, StrictValidation: c.Auth.Strict,
			AllowedAlgorithms: append([]string{}, c.Auth.Algorithms...),
		},
		CircuitBreakers: ConfigBreaker{
			Enabled: true, FailureThreshold: c.Breaker.Failures, TimeoutSeconds: int64(c.Breaker.OpenFor / time.Second),
			SuccessThreshold: c.Breaker.Probes,
		},
		DatabasePools:  ConfigPools{WebAPIPoolSize: c.PoolSize, WebAPIMaxConnections: c.MaxConnections},
		DeploymentMode: c.DeploymentMode,
		Messaging:      ConfigMessaging{Backend: c.Backend, Queues: append([]string{}, c.Queues...)},
	}
}
