package scenario_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/auth"
	httpapi "github.com/tasker-go/tasker/adapters/http"
	"github.com/tasker-go/tasker/adapters/jsonschema"
	"github.com/tasker-go/tasker/adapters/memory"
	"github.com/tasker-go/tasker/adapters/system"
	"github.com/tasker-go/tasker/adapters/templates"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/actor"
	"github.com/tasker-go/tasker/core/app/catalog"
	"github.com/tasker-go/tasker/core/app/dispatch"
	"github.com/tasker-go/tasker/core/app/orchestrate"
	"github.com/tasker-go/tasker/core/app/upkeep"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/worker"
)

// inMemory is a world without a database.
type inMemory struct {
	db         *memory.Database
	main       *memoryServer
	other      *memoryServer // nil while there is none
	door       *httptest.Server
	namespaces []string
	on         *stages
	mu         sync.Mutex
	offset     time.Duration
	wire       wire
}

// glance is how often servers in memory look for what is left behind.
const glance = 5 * time.Millisecond

func openMemory(t *testing.T, files fs.FS, on *stages) world {
	t.Helper()
	w := &inMemory{db: memory.New(time.Now), on: on}
	w.main = newMemoryServer(w.db, &w.wire)
	all, _, err := templates.LoadFS(files)
	require.NoError(t, err)
	_, err = w.main.app.Catalog.Register(t.Context(), all, false)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, def := range all {
		if !seen[def.Namespace] {
			seen[def.Namespace] = true
			w.namespaces = append(w.namespaces, def.Namespace)
		}
	}
	w.main.start(t, w.served(handlerHere), on)
	door, err := httpapi.New(httpapi.Config{RequestTimeout: 30 * time.Second, MaxBodyBytes: 1 << 20}, w.main.app,
		app.NewHealth(func() app.HealthInfo { return app.HealthInfo{} }), auth.New(nil, ""), http.NotFoundHandler(), discard)
	require.NoError(t, err)
	w.door = httptest.NewServer(door.Handler())
	t.Cleanup(w.door.Close)
	return w
}

func (w *inMemory) served(handler string) []plan.Queue {
	queues := make([]plan.Queue, len(w.namespaces))
	for i, ns := range w.namespaces {
		queues[i] = plan.Queue{Namespace: ns, Handler: handler}
	}
	return queues
}

func (w *inMemory) URL() string { return w.door.URL }

func (w *inMemory) Advance(_ context.Context, d time.Duration) error {
	w.mu.Lock()
	w.offset += d
	w.mu.Unlock()
	w.db.Shift(d)
	w.main.timers.In(0)
	return nil
}

func (w *inMemory) Offset() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.offset
}

func (w *inMemory) Sweep(ctx context.Context) error { return w.main.app.SweepStaleness(ctx) }

func (w *inMemory) Carry(ctx context.Context, resume string, done func() error) error {
	id, err := uuid.Parse(resume)
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		if _, _, err := w.main.app.ContinueResume(ctx, id); err != nil {
			return err
		}
		return done()
	})
}

func (w *inMemory) StartServer(t *testing.T) {
	t.Helper()
	require.Nil(t, w.other, "there is another server already")
	w.other = newMemoryServer(w.db, &w.wire)
	w.other.start(t, w.served(handlerElsewhere), w.on)
}

func (w *inMemory) KillServer(t *testing.T) {
	t.Helper()
	require.NotNil(t, w.other, "there is no other server")
	w.other.store.Close()
	w.other.stop()
	w.other = nil
}

func (w *inMemory) RenewServer(ctx context.Context, lease time.Duration) error {
	return w.other.store.Renew(ctx, lease, w.other.dispatcher.Declared())
}

func (w *inMemory) TaskMoves(_ context.Context, id ident.TaskID) ([]taskMove, error) {
	var all []taskMove
	for _, m := range w.db.TaskHistory(id) {
		all = append(all, taskMove{From: m.From, To: m.To, Path: m.Path, By: m.By, Why: m.Why})
	}
	return all, nil
}

func (w *inMemory) StepMoves(ctx context.Context, ref ident.StepRef) ([]ports.StepMove, error) {
	return w.main.store.StepHistory(ctx, ref)
}

// wire tells servers in memory what the others do.
type wire struct {
	mu      sync.Mutex
	servers []*memoryServer
}

// announced is a unit of work that tells the others what it did.
type announced struct {
	ports.UnitOfWork
	wire *wire
	by   *memoryServer
}

// Run implements ports.UnitOfWork.
func (a announced) Run(ctx context.Context, scope ports.Scope, decide func(*plan.Snapshot) (ports.Writes, error)) (ports.ClaimReply, error) {
	var d plan.Decision
	reply, err := a.UnitOfWork.Run(ctx, scope, func(s *plan.Snapshot) (ports.Writes, error) {
		w, err := decide(s)
		d = w.Decision
		return w, err
	})
	if err == nil {
		a.wire.tell(a.by, d)
	}
	return reply, err
}

// tell does what bootstrap does when other servers have news.
func (w *wire) tell(by *memoryServer, d plan.Decision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.servers {
		if s == by {
			continue
		}
		s.dispatcher.News()
		s.timers.In(0)
		s.app.Hub.Elsewhere()
		for i := range d.Tasks {
			if c := &d.Tasks[i]; c.State.Terminal() && c.State != task.Complete {
				s.dispatcher.CancelTasks([]ident.TaskID{c.ID})
			}
		}
		for i := range d.Steps {
			if c := &d.Steps[i]; c.Stop {
				s.dispatcher.CancelStep(c.Ref, c.Live, dispatch.ErrTaken)
			}
		}
	}
}

// memoryServer is put together as bootstrap does it.
type memoryServer struct {
	store      *memory.Store
	app        *app.Application
	dispatcher *dispatch.Dispatcher
	timers     *upkeep.Timers
	results    *orchestrate.Results
	stop       func()
}

var discard = slog.New(slog.DiscardHandler)

// unobserved is told what happens and forgets it.
type unobserved struct{}

func (unobserved) Batch(string, int, time.Duration, time.Duration) {}
func (unobserved) Message(string, string, int)                     {}
func (unobserved) Verdict(step.Verdict)                            {}
func (unobserved) DeadLetter(string, string)                       {}
func (unobserved) Admit(context.Context) error                     { return nil }
func (unobserved) Announce(context.Context, ports.Letter) error    { return nil }

func newMemoryServer(db *memory.Database, w *wire) *memoryServer {
	s := &memoryServer{store: db.Connect()}
	schemas := &jsonschema.Schemas{}
	known := catalog.New(s.store, schemas, "test")
	hub := watch.New(s.store, discard)
	s.timers = upkeep.NewTimers(s.store, time.Minute, discard)
	s.dispatcher = dispatch.New(s.store, known, hub, glance, discard)
	engine := orchestrate.NewEngine(announced{s.store, w, s}, known, s.dispatcher, hub, s.timers, unobserved{}, plan.Rules{MaxLosses: maxLosses})
	s.results = actor.New(actorNamed("result_processor"), &orchestrate.ResultProcessor{Engine: engine}, func(step.Result) int { return 1 }, unobserved{}, discard)
	s.app = app.New(app.Parts{
		Requests:  actor.New(actorNamed("task_request"), &orchestrate.TaskRequest{Engine: engine}, func(plan.Submission) int { return 1 }, unobserved{}, discard),
		Enqueuer:  actor.New(actorNamed("step_enqueuer"), &orchestrate.StepEnqueuer{Engine: engine}, func(plan.Wake) int { return 1 }, unobserved{}, discard),
		Finalizer: actor.New(actorNamed("task_finalizer"), &orchestrate.TaskFinalizer{Engine: engine}, func(plan.Ending) int { return 1 }, unobserved{}, discard),
		Catalog:   known, Reader: templates.Reader{Schemas: schemas}, Reads: s.store, Pauses: s.store, Purger: s.store,
		Letters: s.store, Resumes: s.store, Due: s.store, Leases: s.store, Hub: hub, IDs: &system.IDs{},
		Announcer: unobserved{}, Admission: unobserved{}, Limits: app.DefaultLimits(), Thresholds: thresholds,
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers = append(w.servers, s)
	return s
}

// maxLosses and thresholds are those of both worlds.
const maxLosses = 5

var thresholds = deadletter.Thresholds{
	WaitingForDependencies: time.Hour, WaitingForRetry: 24 * time.Hour, StepsInProcess: time.Hour, Unserved: 30 * time.Minute,
}

func actorNamed(name string) actor.Config {
	return actor.Config{Name: name, Capacity: 1000, MaxBatch: 100, MaxBytes: 1 << 20, Loops: 1}
}

// start sets the server to work until stop is called, or the test is over.
func (s *memoryServer) start(t *testing.T, declared []plan.Queue, on worker.Handler) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var loops sync.WaitGroup
	s.dispatcher.ReportTo(&orchestrate.Reporter{
		Results: s.results, Enqueuer: s.app.Enqueuer, IDs: s.app.IDs, Limits: app.DefaultResultLimits(), Observe: unobserved{}, Log: discard,
	})
	actors := []interface {
		Start()
		Stop(ctx context.Context) error
	}{s.app.Requests, s.app.Enqueuer, s.app.Finalizer, s.results}
	for _, a := range actors {
		a.Start()
	}
	renewal := &upkeep.Renewal{
		Leases: s.store, Declared: s.dispatcher.Declared, Changed: s.dispatcher.Changed(), Log: discard, Lease: time.Minute, Every: 10 * time.Second,
	}
	recovery := &upkeep.Recovery{Due: s.store, Every: glance, Log: discard}
	loops.Go(func() { _ = s.timers.Run(ctx, s.app.Enqueuer, s.app.Finalizer) })
	loops.Go(func() { _ = renewal.Run(ctx) })
	loops.Go(func() { _ = recovery.Run(ctx, s.app.Enqueuer) })
	loops.Go(func() { _ = s.app.Hub.Run(ctx) })
	s.dispatcher.Start()
	s.dispatcher.Serve(inProcess{on, s.store}, declared, 1000)
	s.stop = sync.OnceFunc(func() {
		s.dispatcher.Stop()
		cancel()
		loops.Wait()
		for _, a := range actors {
			_ = a.Stop(ctx) // has ended: nothing is waited for
		}
	})
	t.Cleanup(s.stop)
}

// inProcess runs steps by one handler, whatever its name.
type inProcess struct {
	handler worker.Handler
	store   *memory.Store
}

// Run implements ports.Runner.
func (p inProcess) Run(ctx context.Context, a ports.Assignment, report func(step.Result), done func()) {
	st := worker.NewStep(worker.Step{
		Task: worker.Task{ID: a.Ref.Task.String(), Namespace: a.Task.Namespace, Name: a.Task.Name, Version: a.Task.Version},
		ID:   a.Ref.ID().String(), Name: a.Name, Handler: a.Queue.Handler, Attempt: int(a.Attempt), MaxAttempts: int(a.Max),
	}, worker.Inputs{
		Context: a.Context, Initialization: a.Init, Checkpoint: a.Checkpoint,
		Save: func(ctx context.Context, checkpoint json.RawMessage) error {
			live, err := p.store.SaveCheckpoint(ctx, a.Ref, a.Dispatch, checkpoint)
			if err == nil && !live {
				err = worker.ErrLost
			}
			return err
		},
	})
	go func() {
		defer done()
		worker.Run(ctx, p.handler, st, time.Duration(a.Limit)*time.Second, func(o worker.Outcome) {
			report(step.Result{Ref: a.Ref, Dispatch: a.Dispatch, Value: o.Value, Failure: o.Failure, Elapsed: o.Elapsed})
		})
	}()
}
