package client_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/bootstrap"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/client"
	"github.com/tasker-go/tasker/migrations"
	"github.com/tasker-go/tasker/worker"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var schema = pgtest.Schema{
	Files: migrations.Files,
	Migrate: func(ctx context.Context, url string) error {
		log := slog.New(slog.DiscardHandler)
		return postgres.Migrate(ctx, url, postgres.MigrateAuto, river.Migrations{Schema: postgres.Schema, Log: log}, log)
	},
}

const templates = `{name: two, namespace_name: t, version: 1.0.0, input_schema: {properties: {n: {type: integer}}}, steps: [
	{name: first, handler: {callable: first}}, {name: second, dependencies: [first], handler: {callable: second}}]}`

const failing = `{name: failing, namespace_name: t, version: 1.0.0, steps: [{name: fail, retry: {max_attempts: 1}, handler: {callable: fail}}]}`

const idle = `{name: idle, namespace_name: t, version: 1.0.0, steps: [{name: wait, handler: {callable: nobody}}]}`

func ok(context.Context, *worker.Step) (any, error) { return map[string]any{"done": true, "n": 5}, nil }

var handlers = worker.Handlers{
	"first": worker.Func(ok), "second": worker.Func(ok),
	"fail": worker.Func(func(context.Context, *worker.Step) (any, error) {
		return nil, worker.Permanent(errors.New("card declined"))
	}),
}

// doors are clients of one server, through each of its doors.
type doors struct {
	rest, grpc         *client.Client
	restAddr, grpcAddr string
	stop               func()
}

func start(t *testing.T, change func(*configuration.Config), with ...client.Option) doors {
	t.Helper()
	cfg := configuration.Default()
	cfg.Common.Database.URL = configuration.Secret(pgtest.New(t, schema).URL)
	cfg.Common.Database.Pool.MaxConnections = 8
	cfg.Orchestration.Web.Port, cfg.Orchestration.GRPC.Port = 0, 0
	cfg.Orchestration.ShutdownTimeout = time.Second
	if change != nil {
		change(cfg)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan bootstrap.Server, 1), make(chan error, 1)
	go func() {
		ended <- bootstrap.Run(ctx, bootstrap.Options{
			Config: cfg, Log: slog.New(slog.DiscardHandler), Version: "test", Slots: 20, Handlers: handlers,
			Templates: fstest.MapFS{"a.yaml": {Data: []byte(templates)}, "b.yaml": {Data: []byte(failing)}, "c.yaml": {Data: []byte(idle)}},
			Ready:     func(_ context.Context, s bootstrap.Server) { ready <- s },
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	select {
	case s := <-ready:
		d := doors{restAddr: "http://" + s.HTTPAddr, grpcAddr: "grpc://" + s.GRPCAddr, stop: cancel}
		d.rest, d.grpc = dial(t, d.restAddr, with...), dial(t, d.grpcAddr, with...)
		return d
	case err := <-ended:
		ended <- nil
		require.NoError(t, err, "start")
		return doors{}
	}
}

func dial(t *testing.T, address string, with ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(address, with...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// each runs a test through both doors.
func (d doors) each(t *testing.T, test func(t *testing.T, c *client.Client)) {
	t.Helper()
	for name, c := range map[string]*client.Client{"rest": d.rest, "grpc": d.grpc} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}
