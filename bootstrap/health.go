package bootstrap

import (
	"context"
	"fmt"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/breaker"
	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/telemetry"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/orchestrate"
)

var healthModule = fx.Module("health",
	fx.Provide(func(o Options, cfg *configuration.Config, db *postgres.DB, s *postgres.Store, b *breaker.UnitOfWork, d *draining,
		requests *app.Requests, enqueuer *orchestrate.Enqueuer, results *orchestrate.Results, finalizer *app.Finalizer,
	) *app.Health {
		mailboxes := []telemetry.Mailbox{requests, enqueuer, results, finalizer}
		info := func() app.HealthInfo {
			i := app.HealthInfo{
				Version: o.Version, Environment: cfg.Environment, OperationalState: d.word(),
				CircuitBreakerState: map[string]string{"closed": "Closed", "open": "Open", "half_open": "HalfOpen"}[b.State()],
			}
			for _, p := range db.Pools() {
				i.Pools = append(i.Pools, app.PoolUse{
					Name: p.Name, Active: int(p.Active), Idle: int(p.Idle), Max: int(p.Max),
					TotalAcquires: p.Acquires, SlowAcquires: p.SlowAcquires, AverageAcquire: p.AverageAcquire,
				})
			}
			return i
		}
		return app.NewHealth(info,
			app.Probe{Name: "web_database", Ready: true, Look: reaches(db.Ping)},
			app.Probe{Name: "orchestration_database", Ready: true, Look: reaches(db.PingHot)},
			app.Probe{Name: "circuit_breaker", Ready: true, Look: func(context.Context) (app.CheckStatus, string) {
				if state := b.State(); state != "closed" {
					return app.Degraded, "the breaker around database writes is " + state
				}
				return app.Healthy, ""
			}},
			app.Probe{Name: "orchestration_system", Ready: true, Look: func(context.Context) (app.CheckStatus, string) {
				if d.Load() {
					return app.Unhealthy, "the server is shutting down"
				}
				return app.Healthy, ""
			}},
			app.Probe{Name: "command_processor", Ready: true, Look: saturated(mailboxes, 2)},
			app.Probe{Name: "pool_utilization", Look: pressed(db)},
			app.Probe{Name: "queue_depth", Look: deep(s)},
			app.Probe{Name: "channel_saturation", Look: saturated(mailboxes, 1)},
		)
	}),
)

// word is the operational state of the contract.
func (d *draining) word() string {
	if d.Load() {
		return "GracefulShutdown"
	}
	return "Normal"
}

func reaches(ping func(context.Context) error) func(context.Context) (app.CheckStatus, string) {
	return func(ctx context.Context) (app.CheckStatus, string) {
		if ping(ctx) != nil {
			return app.Unhealthy, "the database does not answer"
		}
		return app.Healthy, ""
	}
}

// saturated finds mailboxes that are at least so full: 1 is 80 %, 2 is 95 %.
func saturated(all []telemetry.Mailbox, from float64) func(context.Context) (app.CheckStatus, string) {
	return func(context.Context) (app.CheckStatus, string) {
		status, message := app.Healthy, ""
		for _, m := range all {
			full := telemetry.Saturation(m.Depth(), m.Capacity())
			if full < from {
				continue
			}
			message = fmt.Sprintf("%d of %d messages wait for %s", m.Depth(), m.Capacity(), m.Name())
			if full == 2 {
				return app.Unhealthy, message
			}
			status = app.Degraded
		}
		return status, message
	}
}

func pressed(db *postgres.DB) func(context.Context) (app.CheckStatus, string) {
	return func(context.Context) (app.CheckStatus, string) {
		status, message := app.Healthy, ""
		for _, p := range db.Pools() {
			percent := 100 * p.Active / max(1, p.Max)
			if percent <= 80 {
				continue
			}
			message = fmt.Sprintf("%d of %d connections of the pool %s are busy", p.Active, p.Max, p.Name)
			if percent > 95 {
				return app.Unhealthy, message
			}
			status = app.Degraded
		}
		return status, message
	}
}

// Depths of a queue from which it is worth a look, and from which something is
// wrong.
const (
	deepQueue     = 1000
	criticalQueue = 5000
)

func deep(s *postgres.Store) func(context.Context) (app.CheckStatus, string) {
	return func(ctx context.Context) (app.CheckStatus, string) {
		depths, err := s.QueueDepths(ctx)
		if err != nil {
			return app.Unknown, "the database does not answer"
		}
		status, message := app.Healthy, ""
		for queue, n := range depths {
			if n < deepQueue {
				continue
			}
			message = fmt.Sprintf("%d steps wait in queue %s", n, queue)
			if n >= criticalQueue {
				return app.Unhealthy, message
			}
			status = app.Degraded
		}
		return status, message
	}
}
