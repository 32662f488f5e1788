package bootstrap

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/adapters/telemetry"
	"github.com/tasker-go/tasker/adapters/webhook"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/ports"
)

// stopControl bounds how long running control jobs may take to end when the
// server stops; by then the drain is over.
const stopControl = 5 * time.Second

// controlModule works the server's own jobs: it announces dead letters, carries
// on bulk resumes and looks for what stands still. Needed from outside: what the
// jobs do, a river.Control.
var controlModule = fx.Module("control",
	fx.Provide(newAnnouncer),
	fx.Invoke(func(lc fx.Lifecycle, control river.Control, db database, o Options, cfg *configuration.Config, log *slog.Logger) error {
		dlq := cfg.Orchestration.DLQ
		c := river.ClientConfig{
			URL: db.url, Schema: postgres.Schema, ReconcileEvery: dlq.ReconcileInterval, Tracer: o.Tracer, Log: log,
		}
		if dlq.Staleness.Enabled {
			c.SweepEvery = dlq.Staleness.Interval
		}
		client, err := river.NewClient(context.Background(), c, control)
		if err != nil {
			return err
		}
		lc.Append(fx.StartStopHook(client.Start, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, min(stopControl, cfg.Orchestration.ShutdownTimeout))
			defer cancel()
			return client.Stop(ctx)
		}))
		return nil
	}),
)

// newAnnouncer tells of dead letters in the log and the metrics, and to a webhook
// when one is configured.
func newAnnouncer(cfg *configuration.Config, m *telemetry.Metrics, log *slog.Logger) ports.Announcer {
	var next ports.Announcer
	if dlq := cfg.Orchestration.DLQ; dlq.WebhookURL != "" {
		next = webhook.New(webhook.Config{URL: dlq.WebhookURL.Reveal(), Secret: dlq.WebhookSecret.Reveal()}, log)
	}
	return webhook.NewLogged(next, m.Announced, log)
}
