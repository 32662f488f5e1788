package bootstrap

import (
	"context"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/auth"
	"github.com/tasker-go/tasker/adapters/breaker"
	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/telemetry"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/orchestrate"
)

var healthModule = fx.Module("health",
	fx.Provide(func(o Options, cfg *configuration.Config, db *postgres.DB, s *postgres.Store, b *breaker.UnitOfWork, d *draining,
		requests *app.Requests, enqueuer *orchestrate.Enqueuer, results *orchestrate.Results, finalizer *app.Finalizer, tokens *auth.Tokens,
	) *app.Health {
		mailboxes := []app.Mailbox{requests, enqueuer, results, finalizer}
		info := func() app.HealthInfo {
			return app.HealthInfo{
				Version: o.Version, Environment: cfg.Environment, OperationalState: d.word(), Pools: poolsInUse(db),
				CircuitBreakerState: map[string]string{"closed": "Closed", "open": "Open", "half_open": "HalfOpen"}[b.State()],
			}
		}
		probes := []app.Probe{
			app.ProbeDatabase(app.CheckWebDatabase, db),
			app.ProbeDatabase(app.CheckOrchestrationDatabase, pinger(db.PingHot)),
			app.ProbeBreaker(b.State),
			app.ProbeSystem(d.word),
			app.ProbeActors(mailboxes...),
			app.ProbePools(func() []app.PoolUse { return poolsInUse(db) }),
			app.ProbeQueues(s),
			app.ProbeMailboxes(mailboxes...),
		}
		if tokens != nil {
			probes = append(probes, probeTokens(tokens))
		}
		return app.NewHealth(info, probes...)
	}),
	fx.Invoke(func(m *telemetry.Metrics, d *draining) {
		m.Gauge("tasker_orchestration_running", "1 while the server takes work, 0 while it stops.", func() float64 {
			if d.word() == app.NormalState {
				return 1
			}
			return 0
		})
	}),
)

// pinger is a ports.Prober.
type pinger func(context.Context) error

// Ping implements ports.Prober.
func (p pinger) Ping(ctx context.Context) error { return p(ctx) }

// poolNames has the names under which clients of the contract know two pools:
// the one that works on tasks, and another, here the one for requests that read.
var poolNames = map[string]string{"hot": "tasker", "reads": "pgmq"}

const readPool = "pgmq_pool"

func poolsInUse(db *postgres.DB) []app.PoolUse {
	var out []app.PoolUse
	for _, p := range db.Pools() {
		out = append(out, app.PoolUse{
			Name: poolNames[p.Name] + "_pool", Active: int(p.Active), Idle: int(p.Idle), Max: int(p.Max),
			TotalAcquires: p.Acquires, SlowAcquires: p.SlowAcquires, AverageAcquire: p.AverageAcquire,
		})
	}
	return out
}

// word is the operational state of the contract.
func (d *draining) word() string {
	if d.Load() {
		return "GracefulShutdown"
	}
	return app.NormalState
}
