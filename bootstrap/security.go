package bootstrap

import (
	"context"
	"fmt"
	"log/slog"
	"os/user"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/auth"
	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/system"
	"github.com/tasker-go/tasker/adapters/telemetry"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/ports"
)

// securityModule has the stored keys and the audit log. It comes before the
// doors: keys are read before anybody can ask.
var securityModule = fx.Module("security",
	fx.Provide(
		rolesOf,
		postgres.NewSecurity,
		func(s *postgres.Security, log *slog.Logger) *app.KeyRing { return app.NewKeyRing(s, log) },
		func(s *postgres.Security, ring *app.KeyRing, roles access.Roles, m *telemetry.Metrics, log *slog.Logger) *app.Security {
			lost := m.Lost()
			return &app.Security{
				Keys: s, Ring: ring, Log: s, Secrets: system.Secrets{}, Roles: roles,
				Lost: func(c ports.Change, err error) {
					lost()
					logLost(log, c, err)
				},
			}
		},
	),
	fx.Invoke(func(lc fx.Lifecycle, down fx.Shutdowner, ring *app.KeyRing, log *slog.Logger) {
		lc.Append(fx.StartHook(func(ctx context.Context) error {
			if err := ring.Refresh(ctx); err != nil {
				return fmt.Errorf("read the API keys: %w", err)
			}
			return nil
		}))
		background(lc, down, log, "keys", ring.Run)
	}),
)

// storedKeys has the doors accept stored keys too, unless the configuration says
// that nobody is asked for any.
var storedKeys = fx.Decorate(func(keys *auth.Keys, ring *app.KeyRing, roles access.Roles, cfg *configuration.Config) *auth.Keys {
	if a := cfg.Orchestration.Web.Auth; !a.Enabled && (a.APIKey != "" || len(a.APIKeys) > 0) {
		return keys
	}
	return keys.WithStored(ring, roles)
})

// rolesOf returns the roles that there are.
func rolesOf(cfg *configuration.Config) access.Roles { return cfg.Orchestration.Web.Auth.AllRoles() }

// logLost says in the log what the audit log lacks.
func logLost(log *slog.Logger, c ports.Change, err error) {
	log.Error("the audit log lacks a row", "operation", c.Operation, "principal", c.Principal.Subject, "principal_id", c.Principal.ID,
		"target", c.Target.ID, "outcome", c.Outcome, "request_id", c.RequestID, "error", err)
}

// SecurityOptions is for work on the keys of a database without a server.
type SecurityOptions struct {
	Config *configuration.Config
	Log    *slog.Logger // nil for one on standard error, as configured
}

// Keys hands work the keys of the configured database, and records what it does
// under the name of who runs this process: they have the database, so they may
// do everything. Servers may be at work on it, and hear of changes. An embedded
// PostgreSQL that does not run is started for as long as it takes.
func Keys(ctx context.Context, o SecurityOptions, work func(context.Context, *app.Security) error) (err error) {
	log := o.Log
	if log == nil {
		log = newLogger(o.Config.Common.Telemetry)
	}
	db, err := existingDatabase(ctx, o.Config.Common.Database, log)
	if err != nil {
		return err
	}
	defer func() {
		if closed := db.close(log); err == nil {
			err = closed
		}
	}()
	if err := migrate(ctx, db.url, postgres.MigrateCheck, log); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	store, err := postgres.OpenSecurity(ctx, db.url)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer store.Close()
	return work(app.WithPrincipal(ctx, whoRuns()), &app.Security{
		Keys: store, Log: store, Secrets: system.Secrets{}, Roles: rolesOf(o.Config),
		Lost: func(c ports.Change, err error) { logLost(log, c, err) },
	})
}

// whoRuns is who runs this process.
func whoRuns() access.Principal {
	name := "unknown user"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return access.Principal{Kind: access.KindCommand, ID: name, Subject: name, All: true}
}
