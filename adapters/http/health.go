package http

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// HealthResponse is one word and a time.
type HealthResponse struct {
	Status    string    `json:"status" example:"healthy"`
	Timestamp time.Time `json:"timestamp"`
}

// HealthCheck is the state of one part.
type HealthCheck struct {
	Status     string  `json:"status" enum:"healthy,degraded,unhealthy,unknown"`
	Message    *string `json:"message"`
	DurationMS int64   `json:"duration_ms"`
}

// HealthFacts is facts about the server.
type HealthFacts struct {
	Version                       string              `json:"version"`
	Environment                   string              `json:"environment"`
	OperationalState              string              `json:"operational_state" enum:"Normal,Startup,GracefulShutdown,Stopped,Emergency"`
	WebDatabasePoolSize           int                 `json:"web_database_pool_size" doc:"Open connections of all pools."`
	OrchestrationDatabasePoolSize int                 `json:"orchestration_database_pool_size" doc:"The same."`
	CircuitBreakerState           string              `json:"circuit_breaker_state" enum:"Closed,Open,HalfOpen"`
	PoolUtilization               map[string]PoolFact `json:"pool_utilization,omitempty" doc:"tasker_pool works on tasks, pgmq_pool reads for requests."`
}

// PoolFact is one pool of connections.
type PoolFact struct {
	ActiveConnections    int     `json:"active_connections"`
	IdleConnections      int     `json:"idle_connections"`
	MaxConnections       int     `json:"max_connections"`
	UtilizationPercent   decimal `json:"utilization_percent"`
	TotalAcquires        int64   `json:"total_acquires"`
	SlowAcquires         int64   `json:"slow_acquires"`
	AcquireErrors        int64   `json:"acquire_errors"`
	AverageAcquireTimeMS decimal `json:"average_acquire_time_ms"`
	MaxAcquireTimeMS     decimal `json:"max_acquire_time_ms"`
}

// HealthReport is how the parts are.
type HealthReport struct {
	HealthResponse
	Checks map[string]HealthCheck `json:"checks"`
	Info   HealthFacts            `json:"info"`
}

type (
	nothing      struct{}
	healthOutput struct{ Body HealthResponse }
	reportOutput struct{ Body HealthReport }
)

func registerHealth(a *api, health *app.Health) {
	say := func(word string) func(context.Context, *nothing) (*healthOutput, error) {
		return func(context.Context, *nothing) (*healthOutput, error) {
			return &healthOutput{Body: HealthResponse{Status: word, Timestamp: time.Now().UTC()}}, nil
		}
	}
	register(a, app.CheckHealth, say("healthy"))
	register(a, app.CheckLive, say("alive"))
	register(a, app.CheckReady, func(ctx context.Context, _ *nothing) (*reportOutput, error) {
		r := health.Ready(ctx)
		if !r.OK {
			return nil, notReady(ctx, r)
		}
		return &reportOutput{Body: healthReport(r)}, nil
	})
	register(a, app.CheckDetailed, func(ctx context.Context, _ *nothing) (*reportOutput, error) {
		return &reportOutput{Body: healthReport(health.Detailed(ctx))}, nil
	})
}

// notReadyWait is how long a client should wait before it asks again.
const notReadyWait = time.Second

// notReady is the one problem that carries a report.
func notReady(ctx context.Context, r app.HealthReport) error {
	p := problemOf(ctx, app.CheckReady, fault.New(fault.CodeNotReady, "the server is not ready; checks say why").Later(notReadyWait))
	report := healthReport(r)
	p.Checks, p.Info = report.Checks, &report.Info
	return p
}

func healthReport(r app.HealthReport) HealthReport {
	out := HealthReport{
		HealthResponse: HealthResponse{Status: r.Status, Timestamp: r.At.UTC()},
		Checks:         make(map[string]HealthCheck, len(r.Checks)),
		Info: HealthFacts{
			Version: r.Info.Version, Environment: r.Info.Environment, OperationalState: r.Info.OperationalState,
			CircuitBreakerState: r.Info.CircuitBreakerState, PoolUtilization: make(map[string]PoolFact, len(r.Info.Pools)),
		},
	}
	for _, c := range r.Checks {
		out.Checks[c.Name] = HealthCheck{Status: string(c.Status), Message: given(c.Message), DurationMS: c.Duration.Milliseconds()}
	}
	for _, p := range r.Info.Pools {
		out.Info.WebDatabasePoolSize += p.Open()
		out.Info.PoolUtilization[p.Name] = PoolFact{
			ActiveConnections: p.Active, IdleConnections: p.Idle, MaxConnections: p.Max, UtilizationPercent: decimal(p.Percent()),
			TotalAcquires: p.TotalAcquires, SlowAcquires: p.SlowAcquires, AcquireErrors: p.AcquireErrors,
			AverageAcquireTimeMS: milliseconds(p.AverageAcquire), MaxAcquireTimeMS: milliseconds(p.MaxAcquire),
		}
	}
	out.Info.OrchestrationDatabasePoolSize = out.Info.WebDatabasePoolSize
	return out
}

func milliseconds(d time.Duration) decimal { return decimal(float64(d) / float64(time.Millisecond)) }

func registerMetrics(a *api, metrics http.Handler) {
	register(a, getMetrics, serve(metrics))
}

// serve lets a handler of net/http answer an operation.
func serve(h http.Handler) func(context.Context, *nothing) (*huma.StreamResponse, error) {
	return func(context.Context, *nothing) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			r, w := humago.Unwrap(hctx)
			h.ServeHTTP(w, r)
		}}, nil
	}
}
