package http_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/auth"
	httpapi "github.com/tasker-go/tasker/adapters/http"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/test/parity/doortest"
)

// fake is a small application in memory: it keeps tasks, knows one template,
// refuses duplicates by idempotency key and cancels.
type fake struct {
	*doortest.Operators
	mu      sync.Mutex
	tasks   []app.Task // oldest first
	keys    map[string]ident.TaskID
	last    app.CreateRequest
	by, why string
	fail    error                       // what every call returns, when set
	hold    func(context.Context) error // asked first, when set
	counted int                         // lists that were asked for their total
	filter  ports.TaskFilter
	page    ports.TaskPage
}

var epoch = time.Date(2026, 3, 1, 10, 0, 0, 123456000, time.FixedZone("", 3600))

const templateDoc = `{"name":"order","namespace_name":"orders","version":"1.0.0","description":"Orders",
	"steps":[{"name":"pay","handler":{"callable":"pay"},"result_schema":{"type":"object"}},
	         {"name":"ship","handler":{"callable":"ship"},"dependencies":["pay"],"retry":{"max_attempts":5}}]}`

func definition() *template.Template {
	t, _, err := template.Read([]byte(templateDoc))
	if err != nil {
		panic(err)
	}
	return t
}

func newFake() *fake {
	f := &fake{keys: map[string]ident.TaskID{}}
	f.Operators = &doortest.Operators{Tasks: f, Begin: func(ctx context.Context, _ app.Operation) error { return f.begin(ctx) }}
	return f
}

func (f *fake) begin(ctx context.Context) error {
	if f.hold != nil {
		if err := f.hold(ctx); err != nil {
			return err
		}
	}
	return f.fail
}

func (f *fake) CreateTask(ctx context.Context, r app.CreateRequest) (app.Task, error) {
	if err := f.begin(ctx); err != nil {
		return app.Task{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = r
	if r.Name == "" {
		return app.Task{}, fault.In("name", fault.CodeInvalidField, "name is missing or empty")
	}
	for field, text := range map[string]string{"name": r.Name, "reason": r.Reason} {
		if err := jsondoc.CheckText(field, text, 255); err != nil {
			return app.Task{}, err
		}
	}
	if r.Context != nil {
		if err := jsondoc.Check("context", r.Context, jsondoc.ContextLimits()); err != nil {
			return app.Task{}, err
		}
	}
	if r.Name != "order" {
		return app.Task{}, fault.New(fault.CodeTemplateNotFound, "there is no such template")
	}
	if id, taken := f.keys[r.IdempotencyKey]; taken {
		if r.OnDuplicate == app.OnDuplicateReturn {
			i := slices.IndexFunc(f.tasks, func(t app.Task) bool { return t.ID == id })
			found := f.tasks[i]
			found.Existed = true
			return found, nil
		}
		return app.Task{}, fault.New(fault.CodeTaskExists, "a task with this identity already exists: %s", id).
			With("task_uuid", id.String())
	}
	t := f.add(task.StepsInProcess)
	t.Context, t.Tags, t.StartAt, t.Deadline = r.Context, r.Tags, r.StartAt, r.Deadline
	if r.IdempotencyKey != "" {
		f.keys[r.IdempotencyKey] = t.ID
	}
	return *t, nil
}

// add keeps one more task of two steps, of which the first is done.
func (f *fake) add(s task.State) *app.Task {
	id := ident.NewTaskID(uuid.Must(uuid.NewV7()))
	t := app.Task{
		TaskRecord: ports.TaskRecord{
			ID: id, Namespace: "orders", Name: "order", Version: "1.0.0", State: s,
			CreatedAt: epoch.Add(time.Duration(len(f.tasks)) * time.Second), UpdatedAt: epoch, Context: json.RawMessage(`{"a": 1}`),
			Initiator: "system", SourceSystem: "tasker-core", Reason: "Task requested", CorrelationID: uuid.UUID{6: 0x40, 8: 0x80},
		},
		Counts: readiness.Counts{Total: 2, Completed: 1, Active: 1},
	}
	t.Status = readiness.Of(t.Counts, s)
	first := ports.StepRecord{
		Ref: ident.StepRef{Task: id, No: 1}, Name: "pay", State: step.Complete, Attempts: 1, MaxAttempts: 3,
		CreatedAt: epoch, UpdatedAt: epoch, CompletedAt: epoch, LastAttemptedAt: epoch,
	}
	second := ports.StepRecord{
		Ref: ident.StepRef{Task: id, No: 2}, Name: "ship", State: step.Enqueued, MaxAttempts: 3, CreatedAt: epoch, UpdatedAt: epoch,
	}
	t.Steps = []app.Step{
		{StepRecord: first, Step: readiness.Step{State: step.Complete}, Result: json.RawMessage(`{"success":true,"result":{"n":1.0}}`)},
		{StepRecord: second, Step: readiness.Step{State: step.Enqueued, Parents: 1}},
	}
	f.tasks = append(f.tasks, t)
	return &f.tasks[len(f.tasks)-1]
}

func (f *fake) GetTask(ctx context.Context, id ident.TaskID) (app.Task, error) {
	if err := f.begin(ctx); err != nil {
		return app.Task{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tasks {
		if t.ID == id {
			return t, nil
		}
	}
	return app.Task{}, app.TaskNotFound(id)
}

func (f *fake) CancelTask(ctx context.Context, id ident.TaskID, by, why string) (app.Task, error) {
	t, err := f.GetTask(ctx, id)
	if err != nil {
		return t, err
	}
	if t.TaskRecord.State.Terminal() {
		return t, fault.New(fault.CodeTaskFinished, "the task is %s already and cannot be cancelled", t.TaskRecord.State).
			With("state", t.TaskRecord.State.String())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.by, f.why = by, why
	i := slices.IndexFunc(f.tasks, func(t app.Task) bool { return t.ID == id })
	f.tasks[i].TaskRecord.State = task.Cancelled
	return f.tasks[i], nil
}

func (f *fake) ListTasks(ctx context.Context, filter ports.TaskFilter, p ports.TaskPage) (app.Page, error) {
	if err := f.begin(ctx); err != nil {
		return app.Page{}, err
	}
	if p.Limit < 1 || p.Limit > app.MaxPage {
		return app.Page{}, fault.In("per_page", fault.CodeInvalidField, "a page has 1 to %d tasks, not %d", app.MaxPage, p.Limit)
	}
	if p.Skip < 0 {
		return app.Page{}, fault.In("page", fault.CodeInvalidField, "pages are counted from 1")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filter, f.page = filter, p
	var found []app.Task
	for _, t := range slices.Backward(f.tasks) {
		if (filter.Namespace == "" || filter.Namespace == t.Namespace) && (filter.States == nil || slices.Contains(filter.States, t.TaskRecord.State)) {
			t.Steps = nil
			found = append(found, t)
		}
	}
	page := app.Page{Total: -1}
	if p.Total != ports.NoTotal {
		f.counted++
		page.Total = int64(len(found))
	}
	found = slices.DeleteFunc(found, func(t app.Task) bool { return !p.After.IsZero() && bytes.Compare(t.ID[:], p.After.ID[:]) >= 0 })
	found = found[min(p.Skip, len(found)):]
	if len(found) > p.Limit {
		found = found[:p.Limit]
		page.Next.ID = found[p.Limit-1].ID
	}
	page.Tasks = found
	return page, nil
}

func (f *fake) ListSteps(ctx context.Context, id ident.TaskID) ([]app.Step, error) {
	t, err := f.GetTask(ctx, id)
	return t.Steps, err
}

func (f *fake) GetStep(ctx context.Context, id ident.TaskID, stepID ident.StepID) (app.Step, error) {
	steps, err := f.ListSteps(ctx, id)
	if err != nil {
		return app.Step{}, err
	}
	for _, s := range steps {
		if s.Ref.ID() == stepID {
			return s, nil
		}
	}
	return app.Step{}, fault.New(fault.CodeStepNotFound, "task %s has no step %s", id, stepID)
}

func (f *fake) ListTemplates(ctx context.Context, _ string) ([]ports.StoredTemplate, error) {
	if err := f.begin(ctx); err != nil {
		return nil, err
	}
	other := definition()
	other.Namespace, other.Description = "zoo", ""
	return []ports.StoredTemplate{{Definition: definition()}, {Definition: other}}, nil
}

func (f *fake) GetTemplate(ctx context.Context, name task.Name) (ports.StoredTemplate, error) {
	if err := f.begin(ctx); err != nil {
		return ports.StoredTemplate{}, err
	}
	if err := jsondoc.CheckText("name", name.Name, 255); err != nil {
		return ports.StoredTemplate{}, err
	}
	if name != (task.Name{Namespace: "orders", Name: "order", Version: "1.0.0"}) {
		return ports.StoredTemplate{}, fault.New(fault.CodeTemplateNotFound, "there is no such template")
	}
	return ports.StoredTemplate{Definition: definition()}, nil
}

// door is a server under test.
type door struct {
	*fake
	t       testing.TB
	handler http.Handler
	log     *bytes.Buffer
	status  *app.CheckStatus
}

const maxBody = 1 << 20

func open(t testing.TB, keys ...auth.Key) *door {
	t.Helper()
	f := newFake()
	return openOn(t, f, f, keys...)
}

// openWith is a door to another service than the fake.
func openWith(t testing.TB, s httpapi.Service) *door {
	t.Helper()
	return openOn(t, newFake(), s)
}

func openOn(t testing.TB, f *fake, s httpapi.Service, keys ...auth.Key) *door {
	t.Helper()
	d := &door{fake: f, t: t, log: &bytes.Buffer{}}
	status := app.Healthy
	d.status = &status
	health := app.NewHealth(
		func() app.HealthInfo {
			return app.HealthInfo{
				Version: "1.2.3", Environment: "test", OperationalState: "Normal", CircuitBreakerState: "Closed",
				Pools: []app.PoolUse{{Name: "tasker_pool", Active: 3, Idle: 1, Max: 10, AverageAcquire: 1500 * time.Microsecond}},
			}
		},
		app.Probe{Name: "web_database", Ready: true, Look: func(context.Context) (app.CheckStatus, string) {
			if *d.status == app.Healthy {
				return *d.status, ""
			}
			return *d.status, "the database does not answer"
		}},
		app.Probe{Name: "queue_depth", Look: func(context.Context) (app.CheckStatus, string) { return app.Unknown, "" }},
	)
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, "up 1\n")
	})
	server, err := httpapi.New(httpapi.Config{
		Host: "127.0.0.1", RequestTimeout: 5 * time.Second, MaxBodyBytes: maxBody,
	}, s, health, auth.New(keys, ""), metrics, slog.New(slog.NewTextHandler(d.log, nil)))
	require.NoError(t, err)
	d.handler = server.Handler()
	return d
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	t testing.TB
}

// ask sends a request; headers are "Name: value".
func (d *door) ask(method, path, body string, headers ...string) answer {
	d.t.Helper()
	if body == "" {
		return d.serve(d.request(method, path, nil, headers...))
	}
	return d.serve(d.request(method, path, strings.NewReader(body), headers...))
}

func (d *door) request(method, path string, body io.Reader, headers ...string) *http.Request {
	r := httptest.NewRequestWithContext(d.t.Context(), method, path, body)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r
}

func (d *door) serve(r *http.Request) answer {
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return answer{w, d.t}
}

func (a answer) json() map[string]any {
	a.t.Helper()
	var m map[string]any
	require.NoError(a.t, json.Unmarshal(a.Body.Bytes(), &m), a.Body.String())
	return m
}

// problem checks the form that every refusal has.
func (a answer) problem(status int, code, legacy string) map[string]any {
	a.t.Helper()
	require.Equal(a.t, status, a.Code, a.Body.String())
	require.Equal(a.t, "application/problem+json", a.Header().Get("Content-Type"))
	m := a.json()
	require.Equal(a.t, code, m["code"], a.Body.String())
	require.EqualValues(a.t, status, m["status"])
	require.Equal(a.t, "about:blank", m["type"])
	require.NotEmpty(a.t, m["title"])
	require.NotEmpty(a.t, m["detail"])
	require.Equal(a.t, legacy, m["error"].(map[string]any)["code"])
	require.Equal(a.t, m["detail"], m["error"].(map[string]any)["message"])
	require.Equal(a.t, "urn:uuid:"+a.Header().Get("X-Request-Id"), m["instance"])
	require.NotContains(a.t, m, "$schema")
	return m
}

const minimal = `{"name":"order","namespace":"orders","version":"1.0.0"}`
