package bootstrap_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/bootstrap"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/dispatch"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
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

// server is a running one, with a database of its own.
type server struct {
	bootstrap.Parts
	url, http, grpc string
	stop            context.CancelFunc
}

// start runs a server until the test is over.
func start(t *testing.T, yaml string, handlers worker.Handlers) *server {
	t.Helper()
	return startOn(t, pgtest.New(t, schema).URL, yaml, handlers)
}

func startOn(t *testing.T, url, yaml string, handlers worker.Handlers) *server {
	t.Helper()
	return startWith(t, url, yaml, handlers, func(*configuration.Config) {})
}

func startWith(t *testing.T, url, yaml string, handlers worker.Handlers, change func(*configuration.Config)) *server {
	t.Helper()
	cfg := configuration.Default()
	cfg.Common.Database.URL = configuration.Secret(url)
	cfg.Common.Database.Pool.MaxConnections = 8
	cfg.Common.Backoff.JitterEnabled = false
	cfg.Orchestration.Web.Port, cfg.Orchestration.GRPC.Port = 0, 0
	cfg.Orchestration.ShutdownTimeout = 2 * time.Second
	change(cfg)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan bootstrap.Server, 1), make(chan error, 1)
	go func() {
		ended <- bootstrap.Run(ctx, bootstrap.Options{
			Config: cfg, Log: slog.New(slog.DiscardHandler), Version: "test", Slots: 20,
			Templates: fstest.MapFS{"t.yaml": {Data: []byte(yaml)}}, Handlers: handlers,
			Ready: func(_ context.Context, s bootstrap.Server) { ready <- s },
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	select {
	case s := <-ready:
		return &server{Parts: s.Parts(), url: url, http: s.HTTPAddr, grpc: s.GRPCAddr, stop: cancel}
	case err := <-ended:
		ended <- nil
		require.NoError(t, err, "start")
		return nil
	}
}

func (s *server) create(t *testing.T, name string, input any) ident.TaskID {
	t.Helper()
	raw, err := json.Marshal(input)
	require.NoError(t, err)
	made, err := s.App.CreateTask(t.Context(), app.CreateRequest{Name: name, Namespace: "t", Version: "1.0.0", Context: raw})
	require.NoError(t, err)
	return made.TaskRecord.ID
}

// rest waits until a task is in one of the states.
func (s *server) rest(t *testing.T, id ident.TaskID, want ...task.State) app.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	w, _ := s.Hub.Watch(id)
	defer w.Close()
	for {
		got, err := s.App.GetTask(ctx, id)
		require.NoError(t, err)
		for _, state := range want {
			if got.TaskRecord.State == state {
				return got
			}
		}
		select {
		case <-w.Updates:
		case <-ctx.Done():
			require.Fail(t, "the task did not get there", "%s is %s", id, got.TaskRecord.State)
		}
	}
}

func ok(context.Context, *worker.Step) (any, error) { return "ok", nil }

func TestADiamondPassesResultsDown(t *testing.T) {
	t.Parallel()
	s := start(t, `
name: diamond
namespace_name: t
version: 1.0.0
steps:
  - {name: start, handler: {callable: start}}
  - {name: left, dependencies: [start], handler: {callable: left}}
  - {name: right, dependencies: [start], handler: {callable: right, initialization: {add: 5}}}
  - {name: end, dependencies: [left, right], handler: {callable: end}}
`, worker.Handlers{
		"start": worker.Typed(func(_ context.Context, in struct{ N int }, _ *worker.Step) (int, error) { return in.N, nil }),
		"left": worker.Func(func(ctx context.Context, s *worker.Step) (any, error) {
			n, err := worker.ResultOf[int](ctx, s, "start")
			return 2 * n, err
		}),
		"right": worker.Func(func(ctx context.Context, s *worker.Step) (any, error) {
			var settings struct{ Add int }
			if err := s.Settings(&settings); err != nil {
				return nil, err
			}
			n, err := worker.ResultOf[int](ctx, s, "start")
			return n + settings.Add, err
		}),
		"end": worker.Func(func(ctx context.Context, s *worker.Step) (any, error) {
			var all []int
			for _, name := range []string{"left", "right", "start"} { // the last is further up: fetched
				n, err := worker.ResultOf[int](ctx, s, name)
				if err != nil {
					return nil, err
				}
				all = append(all, n)
			}
			return all, nil
		}),
	})
	got := s.rest(t, s.create(t, "diamond", map[string]int{"n": 21}), task.Complete)
	require.JSONEq(t, `[42, 26, 21]`, string(got.Steps[3].Value))
	require.InDelta(t, 100, got.Percentage(), 0)
	require.Equal(t, "all_complete", got.Execution)
	require.False(t, got.CompletedAt.IsZero())
	for _, st := range got.Steps {
		require.EqualValues(t, 1, st.StepRecord.Attempts)
		require.Equal(t, step.Complete, st.StepRecord.State)
	}
}

const oneStep = `
name: one
namespace_name: t
version: 1.0.0
steps:
  - name: only
    handler: {callable: only}
    timeout_seconds: 1
    retry: {max_attempts: 3, backoff: fixed, backoff_base_ms: 300, max_backoff_ms: 5000}
`

func TestARetryStartsWithinAHundredMillisecondsOfItsTime(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		began []time.Time
	)
	s := start(t, oneStep, worker.Handlers{"only": worker.Func(func(_ context.Context, s *worker.Step) (any, error) {
		mu.Lock()
		defer mu.Unlock()
		began = append(began, time.Now())
		if s.Attempt == 1 {
			return nil, errors.New("not yet")
		}
		return s.Attempt, nil
	})})
	id := s.create(t, "one", map[string]any{})
	waiting := s.rest(t, id, task.WaitingForRetry, task.Complete)
	got := s.rest(t, id, task.Complete)
	require.JSONEq(t, "2", string(got.Steps[0].Value))
	require.Equal(t, task.WaitingForRetry, waiting.TaskRecord.State)
	require.False(t, waiting.Steps[0].StepRecord.NextRetryAt.IsZero())
	require.Contains(t, string(waiting.Steps[0].Failure), "not yet")
	gap := began[1].Sub(began[0])
	require.GreaterOrEqual(t, gap, 300*time.Millisecond)
	require.Less(t, gap, 400*time.Millisecond, "due after 300 ms")
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler  worker.Func
		kind     string
		attempts int32
	}{
		"an error, again and again": {
			handler: func(context.Context, *worker.Step) (any, error) { return nil, errors.New("broken") },
			kind:    step.TypeHandlerError, attempts: 3,
		},
		"a permanent error": {
			handler: func(context.Context, *worker.Step) (any, error) {
				return nil, worker.Permanent(errors.New("no such order"))
			},
			kind: step.TypeHandlerError, attempts: 1,
		},
		"a panic": {
			handler: func(context.Context, *worker.Step) (any, error) { panic("boom") },
			kind:    step.TypeHandlerPanic, attempts: 1,
		},
		"a result that cannot be stored": {
			handler: func(context.Context, *worker.Step) (any, error) { return "a\x00b", nil },
			kind:    step.TypeInvalidResult, attempts: 1,
		},
		"a result that is not JSON": {
			handler: func(context.Context, *worker.Step) (any, error) { return make(chan int), nil },
			kind:    step.TypeInvalidResult, attempts: 1,
		},
		"a type of its own": {
			handler: func(context.Context, *worker.Step) (any, error) {
				return nil, &worker.Error{Err: errors.New("refused"), Type: "card_declined", StatusCode: 402, Permanent: true}
			},
			kind: "card_declined", attempts: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, oneStep, worker.Handlers{"only": c.handler})
			got := s.rest(t, s.create(t, "one", map[string]any{}), task.BlockedByFailures)
			require.Equal(t, c.attempts, got.Steps[0].StepRecord.Attempts)
			var f step.Failure
			require.NoError(t, json.Unmarshal(got.Steps[0].Failure, &f))
			require.Equal(t, c.kind, f.Type, f.Message)
			require.Equal(t, "blocked_by_failures", got.Execution)
		})
	}
}

func TestATimeoutIsAFailureThoughTheHandlerStays(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := start(t, oneStep, worker.Handlers{"only": worker.Func(func(ctx context.Context, s *worker.Step) (any, error) {
		switch s.Attempt {
		case 1: // heeds its context
			<-ctx.Done()
			return nil, ctx.Err()
		case 2: // does not
			<-release
			return nil, nil //nolint:nilnil // its result is not wanted any more
		default:
			return "done", nil
		}
	})})
	id := s.create(t, "one", map[string]any{})
	got := s.rest(t, id, task.Complete)
	close(release)
	require.EqualValues(t, 3, got.Steps[0].StepRecord.Attempts)
	conn, err := pgx.Connect(t.Context(), s.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	rows, err := conn.Query(t.Context(), `
		select failure->>'error_type' from tasker.step_transitions where task_id = $1 and failure is not null order by at`, id)
	require.NoError(t, err)
	kinds, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{step.TypeHandlerTimeout, step.TypeHandlerTimeout}, kinds)
}

func TestOtherBranchesRunAsFarAsTheyCan(t *testing.T) {
	t.Parallel()
	s := start(t, `
name: branches
namespace_name: t
version: 1.0.0
steps:
  - {name: bad, handler: {callable: bad}}
  - {name: below, dependencies: [bad], handler: {callable: good}}
  - {name: good1, handler: {callable: good}}
  - {name: good2, dependencies: [good1], handler: {callable: good}}
`, worker.Handlers{
		"good": worker.Func(ok),
		"bad":  worker.Func(func(context.Context, *worker.Step) (any, error) { return nil, worker.Permanent(errors.New("no")) }),
	})
	got := s.rest(t, s.create(t, "branches", map[string]any{}), task.BlockedByFailures)
	states := map[string]step.State{}
	for _, st := range got.Steps {
		states[st.Name] = st.StepRecord.State
	}
	require.Equal(t, map[string]step.State{
		"bad": step.Error, "below": step.Pending, "good1": step.Complete, "good2": step.Complete,
	}, states)
}

func TestCancelStopsTheHandlerHereAndElsewhere(t *testing.T) {
	t.Parallel()
	began, cause := make(chan string, 2), make(chan error, 2)
	handlers := worker.Handlers{"only": worker.Func(func(ctx context.Context, s *worker.Step) (any, error) {
		began <- s.Task.ID
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil, ctx.Err()
	})}
	yaml := `{name: long, namespace_name: t, version: 1.0.0, steps: [{name: only, handler: {callable: only}}, {name: after, dependencies: [only], handler: {callable: only}}]}`
	s := start(t, yaml, handlers)
	other := startOn(t, s.url, yaml, nil) // has no handlers: it can only cancel

	for i, by := range []*server{s, other} {
		id := s.create(t, "long", map[string]int{"n": i})
		require.Equal(t, id.String(), <-began)
		got, err := by.App.CancelTask(t.Context(), id, "a person", "changed their mind")
		require.NoError(t, err)
		require.Equal(t, task.Cancelled, got.TaskRecord.State)
		require.ErrorIs(t, <-cause, dispatch.ErrCancelled)
		for _, st := range got.Steps {
			require.Equal(t, step.Cancelled, st.StepRecord.State)
		}
		_, err = s.App.CancelTask(t.Context(), id, "", "")
		require.True(t, fault.Is(err, fault.CodeTaskFinished), "%v", err)
	}
	_, err := s.App.CancelTask(t.Context(), ident.TaskID{1}, "", "")
	require.True(t, fault.Is(err, fault.CodeTaskNotFound), "%v", err)
}

func TestTheSameRequestTwiceIsOneTask(t *testing.T) {
	t.Parallel()
	s := start(t, oneStep, worker.Handlers{"only": worker.Func(ok)})
	id := s.create(t, "one", map[string]any{"a": 1, "b": 2})
	_, err := s.App.CreateTask(t.Context(), app.CreateRequest{
		Name: "one", Namespace: "t", Version: "1.0.0", Context: json.RawMessage(`{ "b":2, "a":1 }`),
	})
	require.True(t, fault.Is(err, fault.CodeTaskExists), "%v", err)
	require.Equal(t, id.String(), fault.Of(err).Meta["task_uuid"])

	// A hundred at once: one is created, and all others are told which.
	results := make(chan string, 100)
	for range 100 {
		go func() {
			made, err := s.App.CreateTask(t.Context(), app.CreateRequest{Name: "one", Namespace: "t", Version: "1.0.0", IdempotencyKey: "k"})
			if err != nil {
				results <- fault.Of(err).Meta["task_uuid"]
				return
			}
			results <- "created " + made.TaskRecord.ID.String()
		}()
	}
	created, existing := "", map[string]int{}
	for range 100 {
		r := <-results
		if rest, was := strings.CutPrefix(r, "created "); was {
			require.Empty(t, created, "a second one was created")
			created = rest
			continue
		}
		existing[r]++
	}
	require.Equal(t, map[string]int{created: 99}, existing)
}

func TestAWideTaskEnds(t *testing.T) {
	t.Parallel()
	yaml := "name: wide\nnamespace_name: t\nversion: 1.0.0\nsteps:\n  - {name: root, handler: {callable: only}}\n"
	var names []string
	for i := range 500 {
		names = append(names, fmt.Sprintf("m%d", i))
		yaml += fmt.Sprintf("  - {name: m%d, dependencies: [root], handler: {callable: only}}\n", i)
	}
	yaml += "  - {name: join, handler: {callable: join}, dependencies: [" + strings.Join(names, ", ") + "]}\n"
	s := start(t, yaml, worker.Handlers{
		"only": worker.Func(ok),
		"join": worker.Func(func(ctx context.Context, s *worker.Step) (any, error) {
			return worker.ResultOf[string](ctx, s, "m499") // too many parents to come along
		}),
	})
	got := s.rest(t, s.create(t, "wide", map[string]any{}), task.Complete)
	require.EqualValues(t, 502, got.TaskRecord.Total)
	require.JSONEq(t, `"ok"`, string(got.Steps[501].Value))
}

// A client waits at one server for what another settles.
func TestNewsCrossesServers(t *testing.T) {
	t.Parallel()
	works := start(t, oneStep, worker.Handlers{"only": worker.Func(ok)})
	waits := startOn(t, works.url, oneStep, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range 100 {
		got, err := waits.App.WaitTask(ctx, waits.create(t, "one", map[string]int{"n": i}))
		require.NoError(t, err)
		require.Equal(t, task.Complete, got)
	}
}
