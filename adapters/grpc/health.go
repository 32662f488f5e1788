package grpc

import (
	"context"
	"time"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
)

type healths struct {
	taskerv1.UnimplementedHealthServiceServer
	health Health
}

// CheckHealth implements taskerv1.HealthServiceServer.
func (*healths) CheckHealth(context.Context, *taskerv1.HealthRequest) (*taskerv1.HealthResponse, error) {
	return say("healthy"), nil
}

// CheckLiveness implements taskerv1.HealthServiceServer.
func (*healths) CheckLiveness(context.Context, *taskerv1.LivenessRequest) (*taskerv1.HealthResponse, error) {
	return say("alive"), nil
}

func say(word string) *taskerv1.HealthResponse {
	return &taskerv1.HealthResponse{Status: word, Timestamp: stamp(time.Now())}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// notReadyWait is how long a client should wait before it asks again.
const notReadyWait = time.Second

// CheckReadiness implements taskerv1.HealthServiceServer. A server that is not
// ready answers UNAVAILABLE with what is wrong.
func (d *healths) CheckReadiness(ctx context.Context, _ *taskerv1.ReadinessRequest) (*taskerv1.ReadinessResponse, error) {
	r := d.health.Ready(ctx)
	if !r.OK {
		f := fault.New(fault.CodeNotReady, "the server is not ready").Later(notReadyWait)
		for _, c := range r.Checks {
			if c.Status != app.Healthy {
				f = f.With(c.Name, string(c.Status)+": "+c.Message)
			}
		}
		return nil, f
	}
	by := byName(r.Checks)
	return &taskerv1.ReadinessResponse{
		Status: r.Status, Timestamp: stamp(r.At), Info: info(r.Info),
		Checks: &taskerv1.ReadinessChecks{
			WebDatabase: by["web_database"], OrchestrationDatabase: by["orchestration_database"],
			CircuitBreaker: by["circuit_breaker"], OrchestrationSystem: by["orchestration_system"],
			CommandProcessor: by["command_processor"],
		},
	}, nil
}

// CheckDetailedHealth implements taskerv1.HealthServiceServer.
func (d *healths) CheckDetailedHealth(ctx context.Context, _ *taskerv1.DetailedHealthRequest) (*taskerv1.DetailedHealthResponse, error) {
	r := d.health.Detailed(ctx)
	by := byName(r.Checks)
	return &taskerv1.DetailedHealthResponse{
		Status: r.Status, Timestamp: stamp(r.At), Info: info(r.Info),
		Checks: &taskerv1.DetailedHealthChecks{
			WebDatabase: by["web_database"], OrchestrationDatabase: by["orchestration_database"],
			CircuitBreaker: by["circuit_breaker"], OrchestrationSystem: by["orchestration_system"],
			CommandProcessor: by["command_processor"], PoolUtilization: by["pool_utilization"],
			QueueDepth: by["queue_depth"], ChannelSaturation: by["channel_saturation"],
		},
	}, nil
}

func byName(checks []app.Check) map[string]*taskerv1.HealthCheck {
	out := make(map[string]*taskerv1.HealthCheck, len(checks))
	for _, c := range checks {
		out[c.Name] = &taskerv1.HealthCheck{
			Status: string(c.Status), Message: given(c.Message), DurationMs: uint64(max(0, c.Duration.Milliseconds())),
		}
	}
	return out
}

// info gives the two pools of the contract their figures by name.
func info(i app.HealthInfo) *taskerv1.HealthInfo {
	out := &taskerv1.HealthInfo{
		Version: i.Version, Environment: i.Environment, OperationalState: i.OperationalState, CircuitBreakerState: i.CircuitBreakerState,
		PoolUtilization: &taskerv1.PoolUtilizationInfo{TaskerPool: &taskerv1.PoolDetail{}, PgmqPool: &taskerv1.PoolDetail{}},
	}
	for _, p := range i.Pools {
		out.WebDatabasePoolSize += count(p.Open())
		switch p.Name {
		case "tasker_pool":
			out.PoolUtilization.TaskerPool = toPool(p)
		case "pgmq_pool":
			out.PoolUtilization.PgmqPool = toPool(p)
		}
	}
	out.OrchestrationDatabasePoolSize = out.WebDatabasePoolSize
	return out
}

func toPool(p app.PoolUse) *taskerv1.PoolDetail {
	return &taskerv1.PoolDetail{
		ActiveConnections: count(p.Active), IdleConnections: count(p.Idle), MaxConnections: count(p.Max),
		UtilizationPercent: p.Percent(), TotalAcquires: uint64(max(0, p.TotalAcquires)),
		SlowAcquires: uint64(max(0, p.SlowAcquires)), AcquireErrors: uint64(max(0, p.AcquireErrors)),
		AverageAcquireTimeMs: milliseconds(p.AverageAcquire), MaxAcquireTimeMs: milliseconds(p.MaxAcquire),
	}
}

func count(n int) uint32 { return uint32(max(0, n)) } //nolint:gosec // G115: a number of connections

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
