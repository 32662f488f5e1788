package bootstrap

import (
	"context"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/breaker"
	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/orchestrate"
)

var healthModule = fx.Module("health",
	fx.Provide(func(o Options, cfg *configuration.Config, db *postgres.DB, s *postgres.Store, b *breaker.UnitOfWork, d *draining,
		requests *app.Requests, enqueuer *orchestrate.Enqueuer, results *orchestrate.Results, finalizer *app.Finalizer,
	) *app.Health {
		mailboxes := []app.Mailbox{requests, enqueuer, results, finalizer}
		info := func() app.HealthInfo {
			return app.HealthInfo{
				Version: o.Version, Environment: cfg.Environment, OperationalState: d.word(), Pools: poolsInUse(db),
				CircuitBreakerState: map[string]string{"closed": "Closed", "open": "Open", "half_open": "HalfOpen"}[b.State()],
			}
		}
		return app.NewHealth(info,
			app.ProbeDatabase(app.CheckWebDatabase, db),
			app.ProbeDatabase(app.CheckOrchestrationDatabase, pinger(db.PingHot)),
			app.ProbeBreaker(b.State),
			app.ProbeSystem(d.word),
			app.ProbeActors(mailboxes...),
			app.ProbePools(func() []app.PoolUse { return poolsInUse(db) }),
			app.ProbeQueues(s),
			app.ProbeMailboxes(mailboxes...),
		)
	}),
)

// pinger is a ports.Prober.
type pinger func(context.Context) error

// Ping implements ports.Prober.
func (p pinger) Ping(ctx context.Context) error { return p(ctx) }

func poolsInUse(db *postgres.DB) []app.PoolUse {
	var out []app.PoolUse
	for _, p := range db.Pools() {
		out = append(out, app.PoolUse{
			Name: p.Name, Active: int(p.Active), Idle: int(p.Idle), Max: int(p.Max),
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
