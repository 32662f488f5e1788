package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/tasker-go/tasker/adapters/embeddedpg"
	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app/verify"
	"github.com/tasker-go/tasker/core/domain/audit"
)

// CheckOptions says what to check, and how.
type CheckOptions struct {
	Config *configuration.Config
	Grace  time.Duration // what is due longer than this is overdue; 0 for the default
	Quiet  bool          // only the sum, no line for each violation
	Out    io.Writer
	Log    *slog.Logger // nil for one on standard error, as configured
}

// Check looks through the configured database for what cannot be, and writes
// each violation and the sum to o.Out. Servers may be at work on it. An embedded
// PostgreSQL that does not run is started for as long as it takes. The error
// says that it could not look.
func Check(ctx context.Context, o CheckOptions) (violations int, err error) {
	log := o.Log
	if log == nil {
		log = newLogger(o.Config.Common.Telemetry)
	}
	db, err := existingDatabase(ctx, o.Config.Common.Database, log)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.close(log)) }()
	if err = migrate(ctx, db.url, postgres.MigrateCheck, log); err != nil {
		return 0, fmt.Errorf("database: %w", err)
	}
	reader, err := postgres.OpenAudit(ctx, db.url, river.StepArgs{}.Kind())
	if err != nil {
		return 0, fmt.Errorf("database: %w", err)
	}
	defer func() { err = errors.Join(err, reader.Close(context.WithoutCancel(ctx))) }()
	limits := audit.DefaultLimits()
	if o.Grace > 0 {
		limits.Grace = o.Grace
	}
	var written error
	report, err := verify.Run(ctx, reader, limits, func(v audit.Violation) {
		if !o.Quiet && written == nil {
			_, written = fmt.Fprintln(o.Out, v)
		}
	})
	if err == nil {
		err = written
	}
	if err != nil {
		return report.Violations, fmt.Errorf("check: %w", err)
	}
	_, err = fmt.Fprintf(o.Out, "%d violations in %d tasks\n", report.Violations, report.Tasks)
	return report.Violations, err
}

// existingDatabase finds the configured database as it is. An embedded
// PostgreSQL is left to the server that runs it; one that does not run is
// started.
func existingDatabase(ctx context.Context, cfg configuration.Database, log *slog.Logger) (db database, err error) {
	if db.url = cfg.URL.Reveal(); db.url != "" {
		return db, nil
	}
	if db.url, err = embeddedpg.Find(cfg.DataDir); db.url != "" || err != nil {
		return db, err
	}
	db.embedded, err = embeddedpg.Start(ctx, embeddedpg.Config{DataDir: cfg.DataDir, BinDir: cfg.BinDir}, log)
	if err != nil {
		return db, fmt.Errorf("embedded PostgreSQL: %w", err)
	}
	db.url = db.embedded.URL()
	return db, nil
}
