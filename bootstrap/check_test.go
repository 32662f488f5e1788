package bootstrap_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/bootstrap"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/worker"
)

func check(t *testing.T, url string) (violations int, output string) {
	t.Helper()
	cfg := configuration.Default()
	cfg.Common.Database.URL = configuration.Secret(url)
	var out strings.Builder
	n, err := bootstrap.Check(t.Context(), bootstrap.CheckOptions{Config: cfg, Out: &out, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return n, out.String()
}

const checked = `
name: checked
namespace_name: t
version: 1.0.0
steps:
  - {name: start, handler: {callable: work}, retry: {max_attempts: 3, backoff: fixed, backoff_base_ms: 100}}
  - {name: left, dependencies: [start], handler: {callable: work}, retry: {max_attempts: 2, backoff: fixed, backoff_base_ms: 100}}
  - {name: right, dependencies: [start], handler: {callable: work}, retry: {max_attempts: 2, backoff: fixed, backoff_base_ms: 100}}
  - {name: end, dependencies: [left, right], handler: {callable: work}}
`

// A server at work, with failures, and operators who do all that they can, has
// no violations at any moment.
func TestCheckWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	s := start(t, checked, worker.Handlers{"work": worker.Typed(func(_ context.Context, in struct{ N int }, s *worker.Step) (string, error) {
		switch {
		case in.N%5 == 1 && s.Name == "left":
			return "", worker.Permanent(errors.New("no"))
		case in.N%5 == 2 && s.Name == "right":
			return "", errors.New("not now")
		case in.N%3 == 0 && s.Name == "start" && s.Attempt == 1:
			return "", errors.New("not yet")
		default:
			return s.Name, nil
		}
	})})
	const tasks = 150
	ids := make([]ident.TaskID, tasks)
	var load sync.WaitGroup
	load.Go(func() {
		for n := range ids {
			ids[n] = s.create(t, "checked", map[string]int{"n": n})
			s.operate(t, n, ids[n])
		}
	})
	for range 5 {
		n, out := check(t, s.url)
		require.Zero(t, n, out)
	}
	load.Wait()
	for n, id := range ids {
		states := []task.State{task.Complete, task.Cancelled, task.ResolvedManually, task.BlockedByFailures, task.Error}
		s.rest(t, id, states...)
		if n%10 == 1 || n%10 == 7 {
			s.recover(t, n, id)
		}
	}
	n, out := check(t, s.url)
	require.Zero(t, n, out)
	require.Equal(t, fmt.Sprintf("0 violations in %d tasks\n", tasks), out)
}

// operate does something to some tasks, whatever they are doing; it may be
// refused.
func (s *server) operate(t *testing.T, n int, id ident.TaskID) {
	t.Helper()
	ctx := t.Context()
	switch n % 11 {
	case 3:
		_, _ = s.App.CancelTask(ctx, id, "a", "b")
	case 5:
		_, _ = s.App.ResolveTask(ctx, id, "a", "b")
	case 7:
		p := ports.Pause{Kind: ports.PauseTask, Task: id, By: "a", Why: "b"}
		if _, err := s.App.Pause(ctx, p); err == nil {
			_, err = s.App.Unpause(ctx, p)
			require.NoError(t, err)
		}
	case 8:
		_, _ = s.App.ResolveStep(ctx, app.StepAction{
			Task: id, Step: ident.StepRef{Task: id, No: 4}.ID(), Action: plan.CompleteManually, By: "a", Why: "b", Value: json.RawMessage(`1`),
		})
	}
}

// recover acts on a task that has failed.
func (s *server) recover(t *testing.T, n int, id ident.TaskID) {
	t.Helper()
	ctx := t.Context()
	switch n % 3 {
	case 0:
		_, _ = s.App.RetryTask(ctx, id, "a", "b")
	case 1:
		if _, err := s.App.GiveUpTask(ctx, id, "a", "b"); err == nil && n%2 == 0 {
			_, _ = s.App.RetryTask(ctx, id, "a", "b")
		}
	case 2:
		_, _ = s.App.ResolveStep(ctx, app.StepAction{
			Task: id, Step: ident.StepRef{Task: id, No: 2}.ID(), Action: plan.ResolveManually, By: "a", Why: "b",
		})
	}
	s.rest(t, id, task.Complete, task.Cancelled, task.ResolvedManually, task.BlockedByFailures, task.Error)
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := start(t, oneStep, worker.Handlers{"only": worker.Func(ok)})
	id := s.create(t, "one", map[string]any{})
	s.rest(t, id, task.Complete)
	conn, err := pgx.Connect(t.Context(), s.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	_, err = conn.Exec(t.Context(), "delete from tasker.step_transitions where to_state = 'in_progress'")
	require.NoError(t, err)
	n, out := check(t, s.url)
	require.Equal(t, 2, n, out)
	require.Contains(t, out, "task "+id.String()+" step 1 (only): I2 history: row 2 of its history begins in in_progress, and the one before ended in enqueued\n")
	require.True(t, strings.HasSuffix(out, "\n2 violations in 1 tasks\n"), out)
}

func TestCheckThatCannotLook(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*configuration.Config){
		"no schema":   func(c *configuration.Config) { c.Common.Database.URL = configuration.Secret(pgtest.Empty(t).URL) },
		"no database": func(c *configuration.Config) { c.Common.Database.URL = "postgres://127.0.0.1:1/none" },
		"no data":     func(c *configuration.Config) { c.Common.Database.DataDir = t.TempDir() + "/none" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cfg := configuration.Default()
			change(cfg)
			var out strings.Builder
			_, err := bootstrap.Check(ctx, bootstrap.CheckOptions{Config: cfg, Out: &out, Log: slog.New(slog.DiscardHandler)})
			require.Error(t, err)
			require.Empty(t, out.String())
		})
	}
}

const checkedTimes = `
name: times
namespace_name: t
version: 1.0.0
on_failure: fail_fast
steps:
  - {name: long, handler: {callable: long}}
  - {name: short, handler: {callable: short}}
  - {name: after, dependencies: [short], handler: {callable: short}}
`

// Tasks that start later, that run out of time, that fail as a whole, and that
// are tried again.
func TestCheckOfTasksThatEndInError(t *testing.T) {
	t.Parallel()
	type input struct{ Fails, Hangs bool }
	var mended atomic.Bool
	s := start(t, checkedTimes, worker.Handlers{
		"short": worker.Typed(func(_ context.Context, in input, _ *worker.Step) (string, error) {
			if in.Fails && !mended.Load() {
				return "", worker.Permanent(errors.New("no"))
			}
			return "short", nil
		}),
		"long": worker.Typed(func(ctx context.Context, in input, _ *worker.Step) (string, error) {
			if in.Hangs && !mended.Load() {
				<-ctx.Done()
				return "", ctx.Err()
			}
			return "long", nil
		}),
	})
	var ids []ident.TaskID
	create := func(r app.CreateRequest, in input) {
		raw, err := json.Marshal(in)
		require.NoError(t, err)
		r.Name, r.Namespace, r.Version, r.Context = "times", "t", "1.0.0", raw
		r.IdempotencyKey = fmt.Sprint(len(ids))
		made, err := s.App.CreateTask(t.Context(), r)
		require.NoError(t, err)
		ids = append(ids, made.TaskRecord.ID)
	}
	for range 5 {
		create(app.CreateRequest{StartAt: time.Now().Add(300 * time.Millisecond)}, input{})
		create(app.CreateRequest{Deadline: time.Now().Add(300 * time.Millisecond)}, input{Hangs: true})
		create(app.CreateRequest{}, input{Fails: true, Hangs: true})
	}
	n, out := check(t, s.url)
	require.Zero(t, n, out)
	for i, id := range ids {
		want := task.Error
		if i%3 == 0 {
			want = task.Complete
		}
		s.rest(t, id, want)
	}
	n, out = check(t, s.url)
	require.Zero(t, n, out)

	mended.Store(true)
	for i, id := range ids {
		if i%3 > 0 {
			_, err := s.App.RetryTask(t.Context(), id, "somebody", "mended")
			require.NoError(t, err)
		}
	}
	for _, id := range ids {
		s.rest(t, id, task.Complete)
	}
	n, out = check(t, s.url)
	require.Zero(t, n, out)
}
