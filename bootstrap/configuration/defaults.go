package configuration

import "time"

const mib = 1 << 20

// Default returns the built-in configuration: a server for this machine alone,
// with its own PostgreSQL. It needs no file.
func Default() *Config {
	breaker := DefaultBreaker{
		FailureRatio: 0.5, MinimumVolume: 10, Window: 10 * time.Second, Probes: 2,
	}
	return &Config{
		Environment: defaultEnvironment,
		Common: Common{
			Database: Database{
				DataDir: ".tasker/postgres",
				Migrate: MigrateAuto,
				Pool: Pool{
					MaxConnections: 25,
					IdleTimeout:    300 * time.Second,
					MaxLifetime:    1800 * time.Second,
				},
			},
			Backoff: Backoff{
				JitterEnabled: true,
				JitterMax:     0.15,
			},
			CircuitBreakers: CircuitBreakers{
				Default: breaker,
				Components: Breakers{DatabaseWrites: Breaker{
					FailureRatio: breaker.FailureRatio, MinimumVolume: breaker.MinimumVolume,
					Window: breaker.Window, Timeout: time.Second, Probes: breaker.Probes,
				}},
			},
			Telemetry: Telemetry{LogLevel: LogInfo, LogFormat: LogText, GOGC: 400},
		},
		Orchestration: Orchestration{
			ShutdownTimeout: 30 * time.Second,
			Web: Web{
				Enabled:        true,
				Host:           "127.0.0.1",
				Port:           8080,
				RequestTimeout: 30 * time.Second,
				MaxWait:        time.Minute,
				MaxBodyBytes:   2 * mib,
				Auth: Auth{
					APIKeyHeader: "X-API-Key", VerificationMethod: VerifyPublicKey, Issuer: "tasker-core", Audience: "tasker-api",
					JWKSRefresh: time.Hour, JWKSMaxStale: 300 * time.Second, Algorithms: []string{"RS256"},
					PermissionsClaim: "permissions", RolesClaim: "roles", StrictValidation: true, LogUnknownPermissions: true,
				},
				TLS:       TLS{ClientAuth: ClientAuthNone},
				CORS:      CORS{AllowedOrigins: []string{}},
				RateLimit: RateLimit{RequestsPerSecond: 100, Burst: 200, FailuresPerSecond: 1, FailureBurst: 20},
			},
			GRPC: GRPC{
				Enabled:              true,
				Host:                 "127.0.0.1",
				Port:                 9190,
				KeepaliveInterval:    30 * time.Second,
				KeepaliveTimeout:     20 * time.Second,
				MaxConcurrentStreams: 200,
				MaxMessageBytes:      4 * mib,
				EnableReflection:     true,
				EnableHealthService:  true,
				TLS:                  TLS{ClientAuth: ClientAuthNone},
			},
			Actors: Actors{
				TaskRequestChannelSize:     1000,
				ResultProcessorChannelSize: 2000,
				StepEnqueuerChannelSize:    1000,
				TaskFinalizerChannelSize:   500,
				MaxBatchMessages:           256,
				MaxBatchBytes:              8 * mib,
				ResultProcessorLoops:       1,
			},
			Dispatch: Dispatch{
				LeaseDuration:      30 * time.Second,
				HeartbeatInterval:  10 * time.Second,
				MaxLeaseLosses:     5,
				SafetyPollInterval: 10 * time.Second,
				RecoveryInterval:   5 * time.Second,
			},
			DLQ: DLQ{
				RedactFields:      []string{"password", "secret", "token", "api_key", "authorization"},
				ReconcileInterval: time.Minute,
				Staleness: Staleness{
					Enabled:  true,
					Interval: 300 * time.Second,
					Thresholds: Thresholds{
						WaitingForDependencies: 60 * time.Minute,
						WaitingForRetry:        30 * time.Minute,
						StepsInProcess:         30 * time.Minute,
						WorkerUnavailable:      15 * time.Minute,
					},
				},
			},
			Limits:    Limits{MaxContextBytes: mib, MaxResultBytes: mib},
			Templates: Templates{OnChange: OnChangeRefuse},
		},
	}
}
