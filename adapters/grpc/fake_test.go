package grpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/tasker-go/tasker/adapters/auth"
	grpcapi "github.com/tasker-go/tasker/adapters/grpc"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/test/parity/doortest"
)

// fake is a small application in memory: it keeps tasks, knows two templates,
// refuses the same context twice, cancels, and tells watchers.
type fake struct {
	*doortest.Operators
	mu       sync.Mutex
	tasks    []*app.Task // oldest first
	watchers map[ident.TaskID][]chan watch.Update
	left     chan struct{} // a token for each watch that ended

	last   app.CreateRequest
	filter ports.TaskFilter
	page   ports.TaskPage
	by     string
	fail   func(app.Operation) error // asked first, when set
}

func newFake() *fake {
	f := &fake{watchers: map[ident.TaskID][]chan watch.Update{}, left: make(chan struct{}, 100)}
	f.Operators = &doortest.Operators{Tasks: f, Begin: func(_ context.Context, op app.Operation) error { return f.begin(op) }}
	return f
}

var epoch = time.Date(2026, 3, 1, 10, 0, 0, 123456000, time.UTC)

func definition(namespace string) *template.Template {
	t, _, err := template.Read([]byte(`{"name":"order","namespace_name":"` + namespace + `","version":"1.0.0","description":"Orders",
	"steps":[{"name":"pay","handler":{"callable":"pay"}},
	         {"name":"ship","handler":{"callable":"ship"},"dependencies":["pay"],"retry":{"max_attempts":5,"retryable":false}}]}`))
	if err != nil {
		panic(err)
	}
	return t
}

func (f *fake) begin(op app.Operation) error {
	if f.fail == nil {
		return nil
	}
	return f.fail(op)
}

func (f *fake) CreateTask(_ context.Context, r app.CreateRequest) (app.Task, error) {
	if err := f.begin(app.CreateTask); err != nil {
		return app.Task{}, err
	}
	if r.Name != "order" {
		return app.Task{}, fault.New(fault.CodeTemplateNotFound, "there is no such template")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = r
	if r.Context == nil {
		r.Context = json.RawMessage("{}")
	}
	for _, t := range f.tasks {
		if string(t.Context) == string(r.Context) && r.OnDuplicate == app.OnDuplicateReturn {
			found := *t
			found.Existed = true
			return found, nil
		}
		if string(t.Context) == string(r.Context) {
			return app.Task{}, fault.New(fault.CodeTaskExists, "a task with this identity already exists: %s", t.ID).
				With("task_uuid", t.ID.String())
		}
	}
	t := f.add(task.StepsInProcess)
	t.Context, t.Tags, t.Initiator, t.Priority = r.Context, r.Tags, r.Initiator, r.Priority
	t.StartAt, t.Deadline = r.StartAt, r.Deadline
	if r.ParentCorrelationID != "" {
		t.ParentCorrelationID = uuid.NullUUID{UUID: uuid.MustParse(r.ParentCorrelationID), Valid: true}
	}
	return *t, nil
}

// add keeps one more task of two steps, of which the first is done.
func (f *fake) add(s task.State) *app.Task {
	id := ident.NewTaskID(uuid.Must(uuid.NewV7()))
	t := &app.Task{
		TaskRecord: ports.TaskRecord{
			ID: id, Namespace: "orders", Name: "order", Version: "1.0.0", State: s,
			CreatedAt: epoch.Add(time.Duration(len(f.tasks)) * time.Second), UpdatedAt: epoch, Context: json.RawMessage(`{"a": 1}`),
			Initiator: "system", SourceSystem: "tasker-core", Reason: "Task requested", CorrelationID: uuid.UUID{6: 0x40, 8: 0x80},
		},
		Counts: readiness.Counts{Total: 3, Completed: 1, Active: 1, Pending: 1},
	}
	if s.Terminal() {
		t.CompletedAt = epoch.Add(time.Minute)
	}
	t.Status = readiness.Of(t.Counts, s)
	record := func(no int32, name string, state step.State) ports.StepRecord {
		return ports.StepRecord{
			Ref: ident.StepRef{Task: id, No: no}, Name: name, State: state, MaxAttempts: 3, Dispatch: 1, CreatedAt: epoch, UpdatedAt: epoch,
		}
	}
	pay, ship, thank := record(1, "pay", step.Complete), record(2, "ship", step.Enqueued), record(3, "thank", step.Pending)
	pay.Attempts, pay.CompletedAt, pay.LastAttemptedAt = 1, epoch, epoch
	t.Steps = []app.Step{
		{StepRecord: pay, Step: readiness.Step{State: step.Complete}, Result: json.RawMessage(`{"success":true,"result":{"n":5}}`)},
		{StepRecord: ship, Step: readiness.Step{State: step.Enqueued, Parents: 1}},
		{StepRecord: thank, Step: readiness.Step{State: step.Pending, Parents: 2, OpenParents: 1}},
	}
	f.tasks = append(f.tasks, t)
	return t
}

func (f *fake) GetTask(_ context.Context, id ident.TaskID) (app.Task, error) {
	if err := f.begin(app.GetTask); err != nil {
		return app.Task{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tasks {
		if t.ID == id {
			return *t, nil
		}
	}
	return app.Task{}, app.TaskNotFound(id)
}

func (f *fake) ListTasks(_ context.Context, filter ports.TaskFilter, p ports.TaskPage) (app.Page, error) {
	if err := f.begin(app.ListTasks); err != nil {
		return app.Page{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filter, f.page = filter, p
	var all []app.Task
	for _, t := range slices.Backward(f.tasks) {
		if len(filter.States) == 0 || slices.Contains(filter.States, t.TaskRecord.State) {
			all = append(all, *t)
		}
	}
	page := app.Page{Total: -1}
	if p.Total != ports.NoTotal {
		page.Total = int64(len(all))
	}
	all = slices.DeleteFunc(all, func(t app.Task) bool { return !p.After.IsZero() && bytes.Compare(t.ID[:], p.After.ID[:]) >= 0 })
	all = all[min(p.Skip, len(all)):]
	page.Tasks = all[:min(p.Limit, len(all))]
	if len(page.Tasks) < len(all) {
		page.Next.ID = page.Tasks[len(page.Tasks)-1].ID
	}
	return page, nil
}

func (f *fake) CancelTask(ctx context.Context, id ident.TaskID, by, _ string) (app.Task, error) {
	if err := f.begin(app.CancelTask); err != nil {
		return app.Task{}, err
	}
	t, err := f.GetTask(ctx, id)
	if err != nil {
		return t, err
	}
	if t.TaskRecord.State.Terminal() {
		return app.Task{}, fault.New(fault.CodeTaskFinished, "the task is %s already", t.TaskRecord.State)
	}
	f.mu.Lock()
	f.by = by
	f.mu.Unlock()
	f.move(id, task.Cancelled)
	return f.GetTask(ctx, id)
}

func (f *fake) ListSteps(ctx context.Context, id ident.TaskID) ([]app.Step, error) {
	t, err := f.GetTask(ctx, id)
	return t.Steps, err
}

func (f *fake) GetStep(ctx context.Context, id ident.TaskID, want ident.StepID) (app.Step, error) {
	t, err := f.GetTask(ctx, id)
	if err != nil {
		return app.Step{}, err
	}
	ref := ident.Ref(want)
	if ref.Task != id {
		return app.Step{}, fault.In("step_uuid", fault.CodeStepElsewhere, "step %s is not of task %s", want, id)
	}
	for _, s := range t.Steps {
		if s.Ref == ref {
			return s, nil
		}
	}
	return app.Step{}, fault.New(fault.CodeStepNotFound, "there is no such step")
}

func (f *fake) ListTemplates(context.Context, string) ([]ports.StoredTemplate, error) {
	if err := f.begin(app.ListTemplates); err != nil {
		return nil, err
	}
	return []ports.StoredTemplate{{ID: 1, Definition: definition("billing")}, {ID: 2, Definition: definition("orders")}}, nil
}

func (f *fake) GetTemplate(_ context.Context, name task.Name) (ports.StoredTemplate, error) {
	if err := f.begin(app.GetTemplate); err != nil {
		return ports.StoredTemplate{}, err
	}
	if (name != task.Name{Namespace: "orders", Name: "order", Version: "1.0.0"}) {
		return ports.StoredTemplate{}, fault.New(fault.CodeTemplateNotFound, "there is no such template")
	}
	return ports.StoredTemplate{ID: 2, Definition: definition("orders")}, nil
}

func (f *fake) WatchTask(ctx context.Context, id ident.TaskID, tell func(watch.Update) error) error {
	defer func() { f.left <- struct{}{} }()
	if err := f.begin(app.WatchTask); err != nil {
		return err
	}
	updates := make(chan watch.Update, 16)
	f.mu.Lock()
	f.watchers[id] = append(f.watchers[id], updates)
	f.mu.Unlock()
	t, err := f.GetTask(ctx, id)
	if err != nil {
		return err
	}
	if err := tell(watch.Update{At: epoch, State: t.TaskRecord.State}); err != nil || t.TaskRecord.State.Terminal() {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case u := <-updates:
			if err := tell(u); err != nil || u.State.Terminal() {
				return err
			}
		}
	}
}

// tell tells the watchers of a task.
func (f *fake) tell(id ident.TaskID, u watch.Update) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.watchers[id] {
		w <- u
	}
}

// move changes the state of a task and tells it.
func (f *fake) move(id ident.TaskID, s task.State) {
	f.mu.Lock()
	for i, t := range f.tasks {
		if t.ID == id {
			moved := *t
			moved.TaskRecord.State = s
			f.tasks[i] = &moved
		}
	}
	f.mu.Unlock()
	f.tell(id, watch.Update{At: epoch.Add(time.Second), State: s})
}

// sick is a health that is what it holds.
type sick struct{ report app.HealthReport }

func (s sick) Ready(context.Context) app.HealthReport    { return s.report }
func (s sick) Detailed(context.Context) app.HealthReport { return s.report }

var healthy = sick{app.HealthReport{
	Status: "ready", OK: true, At: epoch,
	Checks: []app.Check{
		{Name: app.CheckWebDatabase, Status: app.Healthy, Duration: 3 * time.Millisecond},
		{Name: app.CheckOrchestrationDatabase, Status: app.Healthy}, {Name: app.CheckCircuitBreaker, Status: app.Healthy},
		{Name: app.CheckOrchestrationSystem, Status: app.Healthy}, {Name: app.CheckCommandProcessor, Status: app.Healthy},
		{Name: app.CheckPoolUtilization, Status: app.Healthy}, {Name: app.CheckQueueDepth, Status: app.Healthy},
		{Name: app.CheckChannelSaturation, Status: app.Healthy},
	},
	Info: app.HealthInfo{
		Version: "1.2.3", Environment: "test", OperationalState: "Normal", CircuitBreakerState: "Closed",
		Pools: []app.PoolUse{{Name: "tasker_pool", Active: 1, Idle: 2, Max: 5}, {Name: "pgmq_pool", Active: 1, Max: 5, MaxAcquire: time.Second}},
	},
}}

var config = grpcapi.Config{
	Host: "127.0.0.1", KeepaliveInterval: 30 * time.Second, KeepaliveTimeout: 20 * time.Second,
	MaxStreams: 200, MaxMessageBytes: 1 << 20, Reflection: true, Health: true,
}

// keys let an operator do everything, and a reader read.
var keys = []auth.Key{
	{Key: "all", Subject: "operator"},
	{Key: "read", Subject: "reader", Permissions: []access.Permission{access.TasksRead, access.TasksList}},
}

// door is a server of the package, and a connection to it.
type door struct {
	*grpcapi.Server
	conn   *grpc.ClientConn
	served chan error
}

func open(t testing.TB, s grpcapi.Service, h grpcapi.Health, log slog.Handler, keys ...auth.Key) *door {
	t.Helper()
	d := &door{
		Server: grpcapi.New(config, s, h, auth.New(keys, ""), slog.New(log)),
		served: make(chan error, 1),
	}
	l := bufconn.Listen(1 << 20)
	go func() { d.served <- d.ServeOn(l) }()
	conn, err := grpc.NewClient("passthrough:///door", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	require.NoError(t, err)
	d.conn = conn
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		require.NoError(t, d.Shutdown(context.Background()))
		require.NoError(t, <-d.served)
	})
	return d
}

// openPlain is a door that asks for no credentials.
func openPlain(t testing.TB, s grpcapi.Service) *door {
	t.Helper()
	return open(t, s, healthy, slog.DiscardHandler)
}
