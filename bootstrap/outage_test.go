package bootstrap_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/worker"
)

// PostgreSQL stops and comes back under load: new tasks are refused quickly
// while it is away, everything that was acknowledged ends, and the server and
// its breaker recover with no hand.
func TestPostgreSQLStopsAndComesBack(t *testing.T) {
	t.Parallel()
	cluster := pgtest.OwnCluster(t)
	require.NoError(t, schema.Migrate(t.Context(), cluster.URL()))
	s := startWith(t, cluster.URL(), `{name: two, namespace_name: t, version: 1.0.0, steps: [
		{name: a, handler: {callable: ok}}, {name: b, dependencies: [a], handler: {callable: ok}}]}`,
		worker.Handlers{"ok": worker.Func(ok)},
		func(c *configuration.Config) {
			b := &c.Common.CircuitBreakers.Components.DatabaseWrites
			b.MinimumVolume, b.Timeout, b.Probes = 3, 200*time.Millisecond, 1
		})

	var (
		mu           sync.Mutex
		acknowledged []ident.TaskID
		refused      = make(chan *fault.Error, 1)
		stop         = make(chan struct{})
		clients      sync.WaitGroup
	)
	for c := range 8 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				made, err := s.App.CreateTask(t.Context(), app.CreateRequest{
					Name: "two", Namespace: "t", Version: "1.0.0", Context: json.RawMessage(fmt.Sprintf(`{"c": %d, "i": %d}`, c, i)),
				})
				if err != nil {
					select {
					case refused <- fault.Of(err):
					default:
					}
					continue
				}
				mu.Lock()
				acknowledged = append(acknowledged, made.TaskRecord.ID)
				mu.Unlock()
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	require.Eventually(t, func() bool { return count() > 100 }, 20*time.Second, time.Millisecond)

	cluster.Stop(t)
	require.Eventually(t, func() bool { return s.Breaker.State() == "open" }, 20*time.Second, time.Millisecond)
	for f := range refused {
		require.Equal(t, fault.Unavailable, f.Kind, "%v", f)
		require.Positive(t, f.RetryAfter)
		if f.Code == fault.CodeBreakerOpen {
			break
		}
	}
	cluster.Start(t)
	before := count()
	require.Eventually(t, func() bool { return count() > before+100 }, 30*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return s.Breaker.State() == "closed" }, 20*time.Second, time.Millisecond)
	close(stop)
	clients.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, id := range acknowledged {
		got, err := s.App.WaitTask(ctx, id)
		require.NoError(t, err)
		require.Equal(t, task.Complete, got)
	}
}
