package app_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// figures are given, and how often each was asked for is counted.
type figures struct {
	periods sync.Map // of Tally, to ports.Tally
	slow    ports.SlowReport
	counts  []ports.StateCount
	asked   atomic.Int32
	hold    chan struct{} // Tally waits for it, when set
	fail    error
}

func (f *figures) Tally(_ context.Context, period time.Duration, _ bool) (ports.Tally, error) {
	f.asked.Add(1)
	if f.hold != nil {
		<-f.hold
	}
	t, _ := f.periods.Load(period)
	tally, _ := t.(ports.Tally)
	return tally, f.fail
}

func (f *figures) Slowest(context.Context, ports.Slowest) (ports.SlowReport, error) {
	return f.slow, f.fail
}

func (f *figures) Counts(context.Context) ([]ports.StateCount, error) { return f.counts, f.fail }

func TestPerformanceIsInPerCentAndByTheHour(t *testing.T) {
	t.Parallel()
	f := &figures{counts: []ports.StateCount{
		{Kind: "task", State: "complete", Count: 100}, {Kind: "task", State: "steps_in_process", Count: 3},
		{Kind: "task", State: "waiting_for_retry", Count: 2}, {Kind: "task", State: "blocked_by_failures", Count: 5},
		{Kind: "step", State: "in_progress", Count: 50},
	}}
	f.periods.Store(12*time.Hour, ports.Tally{Tasks: 30, Steps: 99, Completed: 20, Failed: 4})
	f.periods.Store(time.Hour, ports.Tally{Tasks: 9, Completed: 6, Failed: 1})
	a := app.New(app.Parts{Analytics: f})
	p, err := a.PerformanceMetrics(t.Context(), 12)
	require.NoError(t, err)
	require.InDelta(t, 66.67, p.CompletionRate, 1e-9)
	require.InDelta(t, 13.33, p.ErrorRate, 1e-9)
	require.EqualValues(t, 3, p.TasksPerHour) // 2.5
	require.EqualValues(t, 8, p.StepsPerHour) // 8.25
	require.EqualValues(t, 5, p.Active)
	require.InDelta(t, 0.857, p.HealthScore, 1e-9)

	last, err := a.PerformanceMetrics(t.Context(), 0)
	require.NoError(t, err)
	require.EqualValues(t, 9, last.Tasks)
	require.EqualValues(t, 9, last.TasksPerHour)

	empty, err := app.New(app.Parts{Analytics: &figures{}}).PerformanceMetrics(t.Context(), 24)
	require.NoError(t, err)
	require.Equal(t, app.Performance{HealthScore: 1}, empty)
}

func TestAnalyticsRefuseWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	a := app.New(app.Parts{Analytics: &figures{}})
	scoped := app.WithPrincipal(t.Context(), access.Principal{All: true, Namespaces: []string{"orders"}})
	for name, c := range map[string]struct {
		ctx   context.Context
		ask   func(context.Context) error
		code  fault.Code
		field string
	}{
		"negative hours": {t.Context(), func(ctx context.Context) error { _, err := a.PerformanceMetrics(ctx, -1); return err }, fault.CodeInvalidField, "hours"},
		"too many hours": {t.Context(), func(ctx context.Context) error { _, err := a.PerformanceMetrics(ctx, 8785); return err }, fault.CodeInvalidField, "hours"},
		"negative limit": {t.Context(), func(ctx context.Context) error { _, err := a.BottleneckAnalysis(ctx, -1, 5); return err }, fault.CodeInvalidField, "limit"},
		"large limit":    {t.Context(), func(ctx context.Context) error { _, err := a.BottleneckAnalysis(ctx, 1001, 5); return err }, fault.CodeInvalidField, "limit"},
		"negative runs":  {t.Context(), func(ctx context.Context) error { _, err := a.BottleneckAnalysis(ctx, 1, -5); return err }, fault.CodeInvalidField, "min_executions"},
		"one namespace":  {scoped, func(ctx context.Context) error { _, err := a.PerformanceMetrics(ctx, 1); return err }, fault.CodePermissionDenied, ""},
		"and its slow":   {scoped, func(ctx context.Context) error { _, err := a.BottleneckAnalysis(ctx, 1, 1); return err }, fault.CodePermissionDenied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.ask(c.ctx)
			require.True(t, fault.Is(err, c.code), "%v", err)
			require.Equal(t, c.field, fault.Of(err).Field)
		})
	}
}

func TestBottlenecksRecommend(t *testing.T) {
	t.Parallel()
	f := &figures{
		counts: []ports.StateCount{{Kind: "task", State: "complete", Count: 2}, {Kind: "task", State: "complete", Count: 1}, {Kind: "step", State: "error", Count: 4}},
		slow: ports.SlowReport{Steps: []ports.SlowStep{
			{Step: "ship", Average: 31 * time.Second, Runs: 10, Failed: 1}, {Step: "pay", Average: time.Second, Runs: 10, Failed: 3},
		}},
	}
	pools := func() []app.PoolUse { return []app.PoolUse{{Active: 9, Idle: 1, Max: 50}} }
	b, err := app.New(app.Parts{Analytics: f, Pools: pools}).BottleneckAnalysis(t.Context(), 10, 5)
	require.NoError(t, err)
	require.InDelta(t, 0.9, b.PoolUse, 1e-9)
	require.EqualValues(t, 3, b.TaskStates["complete"])
	require.EqualValues(t, 3, b.Tasks)
	require.EqualValues(t, 4, b.StepStates["error"])
	require.Len(t, b.Recommendations, 3)
	require.Contains(t, b.Recommendations[0], "::pay")
	require.Contains(t, b.Recommendations[1], "90 %")
	require.Contains(t, b.Recommendations[2], "::ship")

	quiet, err := app.New(app.Parts{Analytics: &figures{}}).BottleneckAnalysis(t.Context(), 10, 5)
	require.NoError(t, err)
	require.NotNil(t, quiet.Recommendations)
	require.Empty(t, quiet.Recommendations)
}

func TestWhoAsksTheSameSharesAnAnswer(t *testing.T) {
	t.Parallel()
	f := &figures{hold: make(chan struct{})}
	a := app.New(app.Parts{Analytics: f})
	impatient, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { _, err := a.PerformanceMetrics(impatient, 1); gone <- err }()
	require.Eventually(t, func() bool { return f.asked.Load() == 1 }, 10*time.Second, time.Millisecond)
	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := a.PerformanceMetrics(t.Context(), 1)
			if err != nil {
				t.Error(err)
			}
		})
	}
	close(f.hold)
	all.Wait()
	require.EqualValues(t, 1, f.asked.Load(), "the first went on though who asked had left")
	_, err := a.PerformanceMetrics(t.Context(), 2)
	require.NoError(t, err)
	require.EqualValues(t, 3, f.asked.Load(), "another question has an answer of its own")
}

func TestAFailureIsNotKept(t *testing.T) {
	t.Parallel()
	f := &figures{fail: errors.New("away")}
	a := app.New(app.Parts{Analytics: f})
	_, err := a.PerformanceMetrics(t.Context(), 1)
	require.ErrorIs(t, err, f.fail)
	f.fail = nil
	_, err = a.PerformanceMetrics(t.Context(), 1)
	require.NoError(t, err)
}
