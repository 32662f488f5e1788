package river

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// Migrations brings River's tables up to date in one schema.
type Migrations struct {
	Schema string
	Log    *slog.Logger
}

// Up runs what is missing.
func (m Migrations) Up(ctx context.Context, pool *pgxpool.Pool) error {
	runner, err := m.runner(pool)
	if err != nil {
		return err
	}
	_, err = runner.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// Check returns an error that says what is missing.
func (m Migrations) Check(ctx context.Context, pool *pgxpool.Pool) error {
	runner, err := m.runner(pool)
	if err != nil {
		return err
	}
	res, err := runner.Validate(ctx, nil)
	if err != nil {
		return err
	}
	if !res.OK {
		return errors.New(strings.Join(res.Messages, "; "))
	}
	return nil
}

func (m Migrations) runner(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	runner, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: m.Schema, Logger: m.Log})
	if err != nil {
		return nil, fmt.Errorf("river's migrations: %w", err)
	}
	return runner, nil
}
