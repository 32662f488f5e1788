package grpc

import (
	"context"
	"time"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
)

type configs struct {
	taskerv1.UnimplementedConfigServiceServer
	service Service
}

// GetConfig implements taskerv1.ConfigServiceServer.
func (d *configs) GetConfig(ctx context.Context, _ *taskerv1.GetConfigRequest) (*taskerv1.GetConfigResponse, error) {
	c, err := d.service.GetConfig(ctx)
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetConfigResponse{
		Metadata: &taskerv1.ConfigMetadata{Timestamp: instant(c.At), Environment: c.Environment, Version: c.Version},
		Auth: &taskerv1.SafeAuthConfig{
			Enabled: c.Auth.Enabled, VerificationMethod: c.Auth.VerificationMethod, JwtIssuer: c.Auth.Issuer, JwtAudience: c.Auth.Audience,
			ApiKeyHeader: c.Auth.APIKeyHeader, ApiKeyCount: int32(c.Auth.APIKeys), //nolint:gosec // G115: a short list
			StrictValidation: c.Auth.Strict, AllowedAlgorithms: c.Auth.Algorithms,
		},
		CircuitBreakers: &taskerv1.SafeCircuitBreakerConfig{
			Enabled: true, FailureThreshold: count(c.Breaker.Failures), TimeoutSeconds: count(int(c.Breaker.OpenFor / time.Second)),
			SuccessThreshold: count(c.Breaker.Probes),
		},
		DatabasePools: &taskerv1.SafeDatabasePoolConfig{
			WebApiPoolSize: count(c.PoolSize), WebApiMaxConnections: count(c.MaxConnections),
		},
		DeploymentMode: c.DeploymentMode,
		Messaging:      &taskerv1.SafeMessagingConfig{Backend: c.Backend, Queues: c.Queues},
	}, nil
}
