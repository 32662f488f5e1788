package postgres_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/app/catalog"
	"github.com/tasker-go/tasker/core/app/dispatch"
	"github.com/tasker-go/tasker/core/app/orchestrate"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

// deaf observes nothing.
type deaf struct{}

func (deaf) Started([]ports.ClaimedStep)                     {}
func (deaf) In(time.Duration)                                {}
func (deaf) DeadLetter(string, string)                       {}
func (deaf) Batch(string, int, time.Duration, time.Duration) {}
func (deaf) Message(string, string, int)                     {}
func (deaf) Compile([]byte) error                            { return nil }
func (deaf) Validate([32]byte, []byte, []byte) []fault.Detail {
	return nil
}
func (deaf) Task() ident.TaskID { return ident.NewTaskID(uuid.Must(uuid.NewV7())) }
func (deaf) UUID() uuid.UUID    { return uuid.New() }
func (deaf) Chance() float64    { return 0.5 }

// resumer is as much of the application as bulk resumes need.
func (f *fixture) resumer(t testing.TB) *app.Application {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	templates := catalog.New(f.Store, deaf{}, "test")
	hub := watch.New(f.Store, log)
	engine := orchestrate.NewEngine(f.Store, templates, dispatch.New(f.Store, templates, deaf{}, time.Hour, log), hub, deaf{}, deaf{}, plan.Rules{})
	cfg := actor.Config{Name: "enqueuer", Capacity: 1000, MaxBatch: 256, MaxBytes: 1 << 20}
	enqueuer := actor.New(cfg, &orchestrate.StepEnqueuer{Engine: engine}, func(plan.Wake) int { return 1 }, deaf{}, log)
	enqueuer.Start()
	t.Cleanup(func() { _ = enqueuer.Stop(context.WithoutCancel(t.Context())) })
	return app.New(app.Parts{
		Enqueuer: enqueuer, Catalog: templates, Reads: f.Store, Letters: f.Store, Resumes: f.Store, Hub: hub, IDs: deaf{}, Limits: app.DefaultLimits(),
	})
}

// bury makes n dead letters of tasks with one step.
func (f *fixture) bury(t testing.TB, n int) {
	t.Helper()
	of := f.register(t, workflow(t, "ns", "a", "1.0.0", "x"))[0]
	for n > 0 {
		subs := make([]plan.Submission, min(n, 500))
		for i := range subs {
			subs[i] = submission(t, of)
		}
		f.submit(t, subs...)
		f.report(t, f.claim(t, len(subs), "ns", "x"), failing(false))
		n -= len(subs)
	}
}

// resume carries a bulk resume out as the job does, and returns how it ended.
func resume(t testing.TB, a *app.Application, r app.ResumeMany) ports.BulkResume {
	t.Helper()
	begun, err := a.ResumeDeadLetters(t.Context(), r)
	require.NoError(t, err)
	for again := true; again; {
		again, _, err = a.ContinueResume(t.Context(), begun.ID)
		require.NoError(t, err)
	}
	ended, err := a.GetResume(t.Context(), begun.ID.String())
	require.NoError(t, err)
	return ended
}

func TestABulkResumeOnPostgreSQL(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.bury(t, 700)
	a := f.resumer(t)
	ended := resume(t, a, app.ResumeMany{
		By: "ann", Why: "fixed", Filter: ports.LetterFilter{Namespace: "ns", Reasons: []deadletter.Reason{deadletter.PermanentFailure}},
	})
	require.Equal(t, ports.ResumeComplete, ended.State)
	require.Equal(t, []int{700, 700, 0, 0}, []int{ended.Matched, ended.Resumed, ended.Refused, ended.FailedAgain})
	steps := f.claim(t, 1000, "ns", "x")
	require.Len(t, steps, 700, "each has its job, once")
	for _, s := range steps {
		require.Equal(t, int32(2), s.Dispatch)
		require.Equal(t, int32(1), s.Attempt)
	}
	f.report(t, steps[:70], failing(false))
	again, err := a.GetResume(t.Context(), ended.ID.String())
	require.NoError(t, err)
	require.Equal(t, 70, again.FailedAgain)
	require.Equal(t, 70, resume(t, a, app.ResumeMany{}).Resumed)
	var jobs int
	require.NoError(t, f.connect(t).QueryRow(t.Context(), "select count(*) from tasker.river_job where args::text like '%' || $1 || '%'", ended.ID.String()).Scan(&jobs))
	require.Equal(t, 1, jobs, "the job that carries it out is stored with it")
}

// BenchmarkBulkResume resumes 10,000 dead letters.
func BenchmarkBulkResume(b *testing.B) {
	const letters = 10_000
	for b.Loop() {
		b.StopTimer()
		f := open(b)
		a := f.resumer(b)
		f.bury(b, letters)
		b.StartTimer()
		require.Equal(b, letters, resume(b, a, app.ResumeMany{}).Resumed)
	}
	b.ReportMetric(float64(letters)*float64(b.N)/b.Elapsed().Seconds(), "letters/s")
}
