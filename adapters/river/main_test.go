package river_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var schema = pgtest.Schema{
	Files: migrations.Files,
	Migrate: func(ctx context.Context, url string) error {
		log := slog.New(slog.DiscardHandler)
		return postgres.Migrate(ctx, url, postgres.MigrateAuto, river.Migrations{Schema: postgres.Schema, Log: log}, log)
	},
}
