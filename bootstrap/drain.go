package bootstrap

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/breaker"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app/dispatch"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// draining is set while the server stops: it is not ready and takes no new
// tasks.
type draining struct{ atomic.Bool }

// admission lets new tasks in while the server is not draining and the database
// is in order.
type admission struct {
	draining *draining
	breaker  *breaker.UnitOfWork
}

// Admit implements ports.Admission.
func (a admission) Admit(ctx context.Context) error {
	if a.draining.Load() {
		return fault.New(fault.CodeShuttingDown, "the server is shutting down").Later(2 * time.Second)
	}
	return a.breaker.Admit(ctx)
}

// drainModule starts last, so it stops first: while the doors are still open
// and results can come in, nothing new is taken and what runs is let finish.
var drainModule = fx.Module("drain",
	fx.Provide(
		func() *draining { return &draining{} },
		func(d *draining, b *breaker.UnitOfWork) ports.Admission { return admission{d, b} },
	),
	fx.Invoke(func(lc fx.Lifecycle, flag *draining, ways doors, hub *watch.Hub, d *dispatch.Dispatcher, cfg *configuration.Config, log *slog.Logger) {
		lc.Append(fx.StopHook(func(ctx context.Context) error {
			flag.Store(true)
			ways.drain()
			hub.Leave() // who waits or follows is told to go elsewhere
			ctx, cancel := context.WithTimeout(ctx, cfg.Orchestration.ShutdownTimeout)
			defer cancel()
			if err := d.Drain(ctx); err != nil {
				log.WarnContext(ctx, "steps still run at the end of the shutdown limit; they will run again", "steps", d.Running())
			}
			return nil
		}))
	}),
)
