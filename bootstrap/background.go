package bootstrap

import (
	"context"
	"log/slog"

	"go.uber.org/fx"
)

// background runs a service for the life of the application. The context of a
// start hook ends when starting does, so the service gets its own, cancelled
// and waited for when the application stops. A service that returns earlier
// with an error shuts the application down.
func background(lc fx.Lifecycle, down fx.Shutdowner, log *slog.Logger, name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	lc.Append(fx.Hook{
		OnStart: func(context.Context) error {
			go func() {
				defer close(done)
				if err := run(ctx); err != nil && ctx.Err() == nil {
					log.Error("a part of the server failed", "part", name, "error", err)
					_ = down.Shutdown(fx.ExitCode(1))
				}
			}()
			return nil
		},
		OnStop: func(stop context.Context) error {
			cancel()
			select {
			case <-done:
				return nil
			case <-stop.Done():
				return stop.Err()
			}
		},
	})
}
