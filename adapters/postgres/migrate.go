package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/tasker-go/tasker/migrations"
)

// Schema is where everything of Tasker lives, River's tables included.
const Schema = "tasker"

// Mode says what to do about the schema at start.
type Mode string

// The modes.
const (
	MigrateAuto  Mode = "auto"  // bring it up to date
	MigrateCheck Mode = "check" // fail unless it is up to date
	MigrateOff   Mode = "off"   // do not look
)

// Foreign migrates the tables of a library that share the schema. Up brings
// them up to date; Check returns an error unless they are.
type Foreign interface {
	Up(ctx context.Context, pool *pgxpool.Pool) error
	Check(ctx context.Context, pool *pgxpool.Pool) error
}

// Migrate brings the schema up to date, or checks that it is. Any number of
// servers may start at once: an advisory lock lets one of them do the work.
func Migrate(ctx context.Context, url string, mode Mode, jobs Foreign, log *slog.Logger) error {
	if mode == MigrateOff {
		return nil
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database url: %w", redactURL(err))
	}
	set(cfg.ConnConfig, map[string]string{"application_name": "tasker migrate"})
	cfg.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return translate(fmt.Errorf("connect: %w", err))
	}
	defer pool.Close()
	holder, err := pool.Acquire(ctx)
	if err != nil {
		return translate(fmt.Errorf("connect: %w", err))
	}
	defer holder.Release()
	if err := tooOld(ctx, holder.Conn()); err != nil {
		return err
	}
	if _, err := holder.Exec(ctx, "select pg_advisory_lock($1, $2)", lockClass, lockMigrate); err != nil {
		return translate(fmt.Errorf("migration lock: %w", err))
	}
	defer func() {
		// The lock would go with the connection anyway.
		_, _ = holder.Exec(context.WithoutCancel(ctx), "select pg_advisory_unlock($1, $2)", lockClass, lockMigrate)
	}()

	conns := stdlib.OpenDBFromPool(pool)
	defer func() { _ = conns.Close() }()
	ours, err := provider(conns)
	if err != nil {
		return err
	}
	if mode == MigrateCheck {
		return check(ctx, holder.Conn(), ours, jobs, pool)
	}
	if _, err := holder.Exec(ctx, "create schema if not exists "+Schema); err != nil {
		return translate(fmt.Errorf("create schema %s: %w", Schema, err))
	}
	if err := up(ctx, ours, jobs, pool, log); err != nil {
		return translate(err)
	}
	return preparePartitions(ctx, holder.Conn(), partitionsAhead)
}

func provider(db *sql.DB) (*goose.Provider, error) {
	store, err := database.NewStore(goose.DialectPostgres, Schema+".schema_migrations")
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	p, err := goose.NewProvider("", db, migrations.Files, goose.WithStore(store))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

func up(ctx context.Context, ours *goose.Provider, jobs Foreign, pool *pgxpool.Pool, log *slog.Logger) error {
	done, err := ours.UpTo(ctx, migrations.AfterRiver-1)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := jobs.Up(ctx, pool); err != nil {
		return fmt.Errorf("migrate the job queue: %w", err)
	}
	rest, err := ours.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, r := range append(done, rest...) {
		log.InfoContext(ctx, "migrated", "step", r.Source.Path, "took", r.Duration)
	}
	return nil
}

func check(ctx context.Context, conn *pgx.Conn, ours *goose.Provider, jobs Foreign, pool *pgxpool.Pool) error {
	var there bool
	if err := conn.QueryRow(ctx, "select to_regnamespace($1) is not null", Schema).Scan(&there); err != nil {
		return translate(fmt.Errorf("look for the schema: %w", err))
	}
	if !there {
		return fmt.Errorf("the database has no schema %s: start once with --migrate=auto", Schema)
	}
	pending, err := ours.HasPending(ctx)
	if err != nil {
		return translate(fmt.Errorf("check migrations: %w", err))
	}
	if pending {
		return fmt.Errorf("the schema %s is not up to date: start once with --migrate=auto", Schema)
	}
	if err := jobs.Check(ctx, pool); err != nil {
		return fmt.Errorf("the job queue in schema %s is not up to date (start once with --migrate=auto): %w", Schema, err)
	}
	return nil
}

// oldest is the first version of PostgreSQL that is supported, as
// server_version_num.
const oldest = 150000

func tooOld(ctx context.Context, conn *pgx.Conn) error {
	var num int
	var text string
	err := conn.QueryRow(ctx, `
		select current_setting('server_version_num')::int, current_setting('server_version')`).Scan(&num, &text)
	if err != nil {
		return translate(fmt.Errorf("ask for the version: %w", err))
	}
	if num < oldest {
		name, _, _ := strings.Cut(text, " ")
		return fmt.Errorf("PostgreSQL %s is too old: version 15 or newer is needed", name)
	}
	return nil
}
