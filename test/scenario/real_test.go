package scenario_test

import (
	"context"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/bootstrap"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/migrations"
	"github.com/tasker-go/tasker/worker"
)

var schema = pgtest.Schema{
	Files: migrations.Files,
	Migrate: func(ctx context.Context, url string) error {
		return postgres.Migrate(ctx, url, postgres.MigrateAuto, river.Migrations{Schema: postgres.Schema, Log: discard}, discard)
	},
}

// onPostgres is a real server on a database of its own.
type onPostgres struct {
	main, other *running // other is nil while there is none
	url         string
	files       fs.FS
	on          *stages
	direct      *pgxpool.Pool // to look into the database
	mu          sync.Mutex
	offset      time.Duration
}

// running is a server that runs in this process.
type running struct {
	bootstrap.Server
	parts bootstrap.Parts
	stop  func()
}

func openReal(t *testing.T, files fs.FS, on *stages) world {
	t.Helper()
	w := &onPostgres{url: pgtest.New(t, schema).URL, files: files, on: on}
	direct, err := pgxpool.New(t.Context(), w.url)
	require.NoError(t, err)
	t.Cleanup(direct.Close)
	w.direct = direct
	w.main = w.start(t, handlerHere)
	return w
}

// configuration is that of each server of the world.
func (w *onPostgres) configuration() *configuration.Config {
	cfg := configuration.Default()
	cfg.Environment = "test"
	cfg.Common.Database.URL = configuration.Secret(w.url)
	cfg.Common.Database.Pool.MaxConnections = 8
	cfg.Common.Backoff.JitterEnabled = false
	o := &cfg.Orchestration
	o.Web.Port, o.GRPC.Enabled = 0, false
	o.ShutdownTimeout = 100 * time.Millisecond
	o.Dispatch.MaxLeaseLosses, o.Dispatch.RecoveryInterval = maxLosses, 50*time.Millisecond
	s := &o.DLQ.Staleness
	s.Enabled = false // the scenarios say when
	s.Thresholds.WaitingForDependencies, s.Thresholds.WaitingForRetry = thresholds.WaitingForDependencies, thresholds.WaitingForRetry
	s.Thresholds.StepsInProcess, s.Thresholds.WorkerUnavailable = thresholds.StepsInProcess, thresholds.Unserved
	return cfg
}

// start runs a server until it is stopped, or the test is over.
func (w *onPostgres) start(t *testing.T, handler string) *running {
	t.Helper()
	cfg := w.configuration()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan bootstrap.Server, 1), make(chan error, 1)
	go func() {
		ended <- bootstrap.Run(ctx, bootstrap.Options{
			Config: cfg, Log: discard, Version: "test", Slots: 1000, ClockOffset: w.Offset(),
			Templates: w.files, Handlers: worker.Handlers{handler: w.on},
			Ready: func(_ context.Context, s bootstrap.Server) { ready <- s },
		})
	}()
	r := &running{}
	select {
	case r.Server = <-ready:
	case err := <-ended:
		cancel()
		require.NoError(t, err, "start")
		return nil
	}
	r.parts = r.Parts()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Logf("a server that was killed did not stop well: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (w *onPostgres) URL() string { return "http://" + w.main.HTTPAddr }

// Advance implements world. The servers are told as any other server would tell
// them.
func (w *onPostgres) Advance(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	w.offset += d
	w.mu.Unlock()
	w.main.parts.DB.Shift(d)
	if w.other != nil {
		w.other.parts.DB.Shift(d)
	}
	_, err := w.direct.Exec(ctx, "select pg_notify($1, $2)", postgres.Channel, `{"s":-1,"w":true}`)
	return err
}

func (w *onPostgres) Offset() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.offset
}

func (w *onPostgres) Sweep(ctx context.Context) error { return w.main.parts.App.SweepStaleness(ctx) }

func (w *onPostgres) Carry(ctx context.Context, _ string, done func() error) error {
	return until(ctx, done)
}

func (w *onPostgres) StartServer(t *testing.T) {
	t.Helper()
	require.Nil(t, w.other, "there is another server already")
	w.other = w.start(t, handlerElsewhere)
}

// KillServer implements world. The rest of the server finds out that it is dead
// on its own time.
func (w *onPostgres) KillServer(t *testing.T) {
	t.Helper()
	require.NotNil(t, w.other, "there is no other server")
	w.other.parts.DB.Close()
	go w.other.stop()
	w.other = nil
}

func (w *onPostgres) RenewServer(ctx context.Context, lease time.Duration) error {
	return w.other.parts.Store.Renew(ctx, lease, w.other.parts.Dispatcher.Declared())
}

func (w *onPostgres) TaskMoves(ctx context.Context, id ident.TaskID) ([]taskMove, error) {
	rows, err := w.direct.Query(ctx, `
		select from_state, to_state, path, coalesce(by_whom, ''), coalesce(reason, '')
		from tasker.task_transitions where task_id = $1 order by at`, id)
	if err != nil {
		return nil, err
	}
	var (
		all      []taskMove
		from, to string
		path     []string
		by, why  string
	)
	_, err = pgx.ForEachRow(rows, []any{&from, &to, &path, &by, &why}, func() (err error) {
		m := taskMove{By: by, Why: why}
		if m.From, err = task.ParseState(from); err != nil {
			return err
		}
		if m.To, err = task.ParseState(to); err != nil {
			return err
		}
		for _, name := range path {
			s, err := task.ParseState(name)
			if err != nil {
				return err
			}
			m.Path = append(m.Path, s)
		}
		all = append(all, m)
		return nil
	})
	return all, err
}

func (w *onPostgres) StepMoves(ctx context.Context, ref ident.StepRef) ([]ports.StepMove, error) {
	return w.main.parts.Store.StepHistory(ctx, ref)
}
