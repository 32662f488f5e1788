package bootstrap

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app/dispatch"
)

// draining is set while the server stops: it is not ready and takes no new
// tasks.
type draining struct{ atomic.Bool }

// drainModule starts last, so it stops first: while the doors are still open
// and results can come in, nothing new is taken and what runs is let finish.
var drainModule = fx.Module("drain",
	fx.Provide(func() *draining { return &draining{} }),
	fx.Invoke(func(lc fx.Lifecycle, flag *draining, d *dispatch.Dispatcher, cfg *configuration.Config, log *slog.Logger) {
		lc.Append(fx.StopHook(func(ctx context.Context) error {
			flag.Store(true)
			ctx, cancel := context.WithTimeout(ctx, cfg.Orchestration.ShutdownTimeout)
			defer cancel()
			if err := d.Drain(ctx); err != nil {
				log.WarnContext(ctx, "steps still run at the end of the shutdown limit; they will run again", "steps", d.Running())
			}
			return nil
		}))
	}),
)
