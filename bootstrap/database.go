package bootstrap

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/tasker-go/tasker/adapters/embeddedpg"
	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/bootstrap/configuration"
)

// database is a PostgreSQL with the schema in place, ours or a given one.
type database struct {
	url      string
	embedded *embeddedpg.Server // nil for a given one
}

// openDatabase starts the embedded PostgreSQL unless another is configured, and
// sees to the schema.
func openDatabase(ctx context.Context, cfg configuration.Database, log *slog.Logger) (db database, err error) {
	db.url = cfg.URL.Reveal()
	if db.url == "" {
		db.embedded, err = embeddedpg.Start(ctx, embeddedpg.Config{DataDir: cfg.DataDir, BinDir: cfg.BinDir}, log)
		if err != nil {
			return db, fmt.Errorf("embedded PostgreSQL: %w", err)
		}
		db.url = db.embedded.URL()
	}
	err = migrate(ctx, db.url, postgres.Mode(cfg.Migrate), log)
	if err != nil {
		_ = db.close(log)
		return db, fmt.Errorf("database: %w", err)
	}
	return db, nil
}

func migrate(ctx context.Context, url string, mode postgres.Mode, log *slog.Logger) error {
	// The queue's migrations come with ours and would only repeat what is said of those.
	jobs := river.Migrations{Schema: postgres.Schema, Log: slog.New(slog.DiscardHandler)}
	return postgres.Migrate(ctx, url, mode, jobs, log)
}

// stopPostgres bounds how long the embedded PostgreSQL may take to stop.
const stopPostgres = 30 * time.Second

func (db database) close(log *slog.Logger) error {
	if db.embedded == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopPostgres)
	defer cancel()
	if err := db.embedded.Stop(ctx); err != nil {
		return fmt.Errorf("stop the embedded PostgreSQL: %w", err)
	}
	log.Info("the embedded PostgreSQL has stopped", "data", db.embedded.DataDir())
	return nil
}

// whoAmI names this process to people who look at the table of instances.
func whoAmI(version string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("tasker-server %s on %s, process %d", version, host, os.Getpid())
}
