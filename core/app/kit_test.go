package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/memory"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/app/catalog"
	"github.com/tasker-go/tasker/core/app/dispatch"
	"github.com/tasker-go/tasker/core/app/orchestrate"
	"github.com/tasker-go/tasker/core/app/upkeep"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// kit is the application over a database in memory. There are no workers: tests
// claim steps and report what became of them.
type kit struct {
	*app.Application
	db      *memory.Database
	store   *memory.Store
	results *orchestrate.Results
	swept   upkeep.Swept
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{db: memory.New(time.Now)}
	k.store = k.db.Connect()
	log := slog.New(slog.DiscardHandler)
	templates := catalog.New(k.store, anySchema{}, "test")
	hub := watch.New(k.store, log)
	engine := orchestrate.NewEngine(k.store, templates, dispatch.New(k.store, templates, deaf{}, time.Hour, log), hub, deaf{}, deaf{}, plan.Rules{MaxLosses: 5})
	config := func(name string) actor.Config {
		return actor.Config{Name: name, Capacity: 1000, MaxBatch: 256, MaxBytes: 1 << 20}
	}
	enqueuer := running(t, actor.New(config("enqueuer"), &orchestrate.StepEnqueuer{Engine: engine}, func(plan.Wake) int { return 1 }, deaf{}, log))
	finalizer := running(t, actor.New(config("finalizer"), &orchestrate.TaskFinalizer{Engine: engine}, func(plan.Ending) int { return 1 }, deaf{}, log))
	k.results = running(t, actor.New(config("results"), &orchestrate.ResultProcessor{Engine: engine}, func(step.Result) int { return 1 }, deaf{}, log))
	k.Application = app.New(app.Parts{
		Batches: running(t, actor.New(actor.Config{Name: "batches", Capacity: 4, MaxBatch: 1, MaxBytes: 1 << 20},
			&orchestrate.TaskBatch{TaskRequest: orchestrate.TaskRequest{Engine: engine}}, func([]plan.Submission) int { return 1 }, deaf{}, log)),
		Requests: running(t, actor.New(config("requests"), &orchestrate.TaskRequest{Engine: engine}, func(plan.Submission) int { return 1 }, deaf{}, log)),
		Enqueuer: enqueuer, Finalizer: finalizer, Catalog: templates, Reads: k.store, Pauses: k.store, Purger: k.store,
		Letters: k.store, Resumes: k.store, Bulk: k.store, Leases: k.store, Due: k.store, Hub: hub, IDs: chance{}, Limits: app.DefaultLimits(),
		Thresholds: deadletter.Thresholds{
			WaitingForDependencies: time.Hour, WaitingForRetry: 30 * time.Minute, StepsInProcess: 30 * time.Minute, Unserved: 10 * time.Minute,
		},
		Redact: []string{"password"},
		Swept:  func(s upkeep.Swept) { k.swept = s },
	})
	return k
}

func running[M, R any](t *testing.T, a *actor.Actor[M, R]) *actor.Actor[M, R] {
	t.Helper()
	a.Start()
	t.Cleanup(func() { _ = a.Stop(context.WithoutCancel(t.Context())) })
	return a
}

// deaf observes nothing.
type deaf struct{}

func (deaf) Started([]ports.ClaimedStep)                     {}
func (deaf) In(time.Duration)                                {}
func (deaf) DeadLetter(string, string)                       {}
func (deaf) Batch(string, int, time.Duration, time.Duration) {}
func (deaf) Message(string, string, int)                     {}

type anySchema struct{}

func (anySchema) Compile([]byte) error                             { return nil }
func (anySchema) Validate([32]byte, []byte, []byte) []fault.Detail { return nil }

type chance struct{}

func (chance) Task() ident.TaskID { return ident.NewTaskID(uuid.Must(uuid.NewV7())) }
func (chance) UUID() uuid.UUID    { return uuid.New() }
func (chance) Chance() float64    { return 0.5 }

// flow registers a template of independent steps, each its own handler, that are
// tried once; change may alter it.
func (k *kit) flow(t *testing.T, name string, change func(*template.Template), steps ...string) ports.StoredTemplate {
	t.Helper()
	d := template.Template{Namespace: "shop", Name: name, Version: "1.0.0"}
	for _, s := range steps {
		st := template.Step{Name: s, Handler: template.Handler{Callable: s}, Retry: template.DefaultRetry()}
		st.Retry.MaxAttempts = 1
		d.Steps = append(d.Steps, st)
	}
	if change != nil {
		change(&d)
	}
	made, err := template.New(d)
	require.NoError(t, err)
	stored, err := k.Catalog.Register(t.Context(), []*template.Template{made}, false)
	require.NoError(t, err)
	return stored[0]
}

// begin submits a task of a template.
func (k *kit) begin(t *testing.T, of ports.StoredTemplate) ident.TaskID {
	t.Helper()
	s := plan.Submission{
		ID: k.IDs.Task(), Template: of.ID, Definition: of.Definition, Context: json.RawMessage(`{"user": "ann", "password": "secret"}`),
		Initiator: "test", SourceSystem: "test", Reason: "test", CorrelationID: uuid.New(),
	}
	_, err := k.Requests.Ask(t.Context(), s)
	require.NoError(t, err)
	return s.ID
}

// work claims up to n steps of a handler and reports what become makes of each.
func (k *kit) work(t *testing.T, n int, handler string, become func(*step.Result)) int {
	t.Helper()
	reply, err := k.store.Claim(t.Context(), ports.ClaimRequest{Queues: []plan.Queue{{Namespace: "shop", Handler: handler}}, Limits: []int{n}})
	require.NoError(t, err)
	for _, s := range reply.Steps {
		r := step.Result{Ref: s.Ref, Dispatch: s.Dispatch, Value: json.RawMessage(`{}`)}
		become(&r)
		verdict, err := k.results.Ask(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, step.Applied, verdict)
	}
	return len(reply.Steps)
}

func succeed(*step.Result) {}

func fail(r *step.Result) {
	r.Value, r.Failure = nil, &step.Failure{Message: "it broke", Type: step.TypeHandlerError}
}

// dead makes n dead letters of a new template with one step "a".
func (k *kit) dead(t *testing.T, name string, n int) []ident.TaskID {
	t.Helper()
	of := k.flow(t, name, nil, "a")
	ids := make([]ident.TaskID, n)
	for i := range ids {
		ids[i] = k.begin(t, of)
	}
	require.Equal(t, n, k.work(t, n, "a", fail))
	return ids
}

func (k *kit) state(t *testing.T, id ident.TaskID) string {
	t.Helper()
	got, err := k.GetTask(t.Context(), id)
	require.NoError(t, err)
	return got.State.String()
}

func (k *kit) entry(t *testing.T, id ident.TaskID) ports.Letter {
	t.Helper()
	l, err := k.GetDeadLetter(t.Context(), id)
	require.NoError(t, err)
	return l
}
