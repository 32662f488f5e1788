package parity

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tasker-go/tasker/adapters/auth"
	grpcapi "github.com/tasker-go/tasker/adapters/grpc"
	httpapi "github.com/tasker-go/tasker/adapters/http"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/test/parity/doortest"
)

// application is one behind both doors, with one task.
type application struct {
	*doortest.Operators
	task app.Task
}

// newApplication is the same each time.
func newApplication() *application {
	id := ident.NewTaskID(uuid.MustParse("0d9a5e5c-26a5-7a6a-9c0c-1f9c4a4f3b6e"))
	a := &application{task: app.Task{TaskRecord: ports.TaskRecord{
		ID: id, Namespace: "orders", Name: "order", Version: "1.0.0", State: task.BlockedByFailures,
	}}}
	a.task.Steps = []app.Step{{StepRecord: ports.StepRecord{Ref: ident.StepRef{Task: id, No: 1}, Name: "pay", State: step.Error}}}
	a.Operators = &doortest.Operators{Tasks: quiet{a}}
	a.AddLetter(id, deadletter.MaxRetriesExceeded)
	return a
}

// quiet reads tasks for operators, who are asked themselves.
type quiet struct{ a *application }

func (q quiet) GetTask(_ context.Context, id ident.TaskID) (app.Task, error) {
	if id != q.a.task.ID {
		return app.Task{}, app.TaskNotFound(id)
	}
	t := q.a.task
	return t, nil
}

func (a *application) CreateTask(ctx context.Context, r app.CreateRequest) (app.Task, error) {
	return a.task, a.Record(ctx, app.CreateTask, r)
}

func (a *application) GetTask(ctx context.Context, id ident.TaskID) (app.Task, error) {
	return a.task, a.Record(ctx, app.GetTask, id)
}

func (a *application) ListTasks(ctx context.Context, f ports.TaskFilter, p ports.TaskPage) (app.Page, error) {
	return app.Page{Tasks: []app.Task{a.task}, Total: 1}, a.Record(ctx, app.ListTasks, f, p)
}

func (a *application) CancelTask(ctx context.Context, id ident.TaskID, by, why string) (app.Task, error) {
	return a.task, a.Record(ctx, app.CancelTask, id, by, why)
}

func (a *application) ListSteps(ctx context.Context, id ident.TaskID) ([]app.Step, error) {
	return a.task.Steps, a.Record(ctx, app.ListSteps, id)
}

func (a *application) GetStep(ctx context.Context, id ident.TaskID, stepID ident.StepID) (app.Step, error) {
	return a.task.Steps[0], a.Record(ctx, app.GetStep, id, stepID)
}

func (a *application) ListTemplates(ctx context.Context, namespace string) ([]ports.StoredTemplate, error) {
	return nil, a.Record(ctx, app.ListTemplates, namespace)
}

func (a *application) GetTemplate(ctx context.Context, name task.Name) (ports.StoredTemplate, error) {
	t, _, err := template.Read([]byte(templateText))
	if err != nil {
		return ports.StoredTemplate{}, err
	}
	return ports.StoredTemplate{ID: 1, Revision: 1, Definition: t}, a.Record(ctx, app.GetTemplate, name)
}

func (a *application) WatchTask(context.Context, ident.TaskID, func(watch.Update) error) error {
	return nil
}

const templateText = `{"name":"order","namespace_name":"orders","version":"1.0.0","steps":[{"name":"pay","handler":{"callable":"pay"}}]}`

func health() *app.Health {
	return app.NewHealth(func() app.HealthInfo { return app.HealthInfo{} })
}

func openREST(t *testing.T, a httpapi.Service) http.Handler {
	t.Helper()
	door, err := httpapi.New(httpapi.Config{RequestTimeout: time.Minute, MaxBodyBytes: 1 << 20}, a, health(), auth.New(nil, ""),
		http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return door.Handler()
}

func openGRPC(t *testing.T, a grpcapi.Service) *grpc.ClientConn {
	t.Helper()
	rpc := grpcapi.New(grpcapi.Config{
		Host: "127.0.0.1", MaxStreams: 10, MaxMessageBytes: 1 << 20, KeepaliveInterval: time.Minute, KeepaliveTimeout: time.Minute,
	}, a, health(), auth.New(nil, ""), slog.New(slog.DiscardHandler))
	require.NoError(t, rpc.Listen())
	served := make(chan error, 1)
	go func() { served <- rpc.Serve() }()
	conn, err := grpc.NewClient("passthrough:///"+rpc.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		require.NoError(t, rpc.Shutdown(context.Background()))
		require.NoError(t, <-served)
	})
	return conn
}

// ask sends a request to the REST door, which has to succeed.
func ask(t *testing.T, door http.Handler, method, path, body string) {
	t.Helper()
	var in io.Reader = http.NoBody
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, in)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	door.ServeHTTP(w, r)
	require.Less(t, w.Code, 300, "%s %s: %s", method, path, w.Body.String())
}
