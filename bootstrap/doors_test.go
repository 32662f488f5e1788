package bootstrap_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/worker"
)

func (s *server) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// call makes an HTTP request and decodes the answer.
func (s *server) call(t *testing.T, method, path, body string, headers ...string) (int, http.Header, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.http+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	out := map[string]any{}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		require.NoError(t, json.Unmarshal(raw, &out), string(raw))
	}
	return resp.StatusCode, resp.Header, out
}

const twoSteps = `{name: two, namespace_name: t, version: 1.0.0, input_schema: {properties: {n: {type: integer}}}, steps: [
	{name: first, handler: {callable: first}}, {name: second, dependencies: [first], handler: {callable: second}}]}`

func TestATaskThroughBothDoors(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := start(t, twoSteps, worker.Handlers{
		"first": worker.Func(func(ctx context.Context, _ *worker.Step) (any, error) {
			select {
			case <-release:
				return map[string]int{"n": 1}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}),
		"second": worker.Func(ok),
	})
	conn := s.dial(t)
	tasks, steps := taskerv1.NewTaskServiceClient(conn), taskerv1.NewStepServiceClient(conn)
	correlation, parent := uuid.NewString(), uuid.NewString()
	input, err := structpb.NewStruct(map[string]any{"n": 7, "nested": map[string]any{"list": []any{1, "two", nil, true}}})
	require.NoError(t, err)
	priority, source := int32(10), "shop"
	made, err := tasks.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{
		Name: "two", Namespace: "t", Version: "1.0.0", Context: input, CorrelationId: &correlation,
		ParentCorrelationId: &parent, Priority: &priority, SourceSystem: &source, Tags: []string{"a", "b"},
	})
	require.NoError(t, err)
	id := made.GetTask().GetTaskUuid()
	require.Equal(t, "grpc", made.GetTask().GetInitiator())
	require.Equal(t, correlation, made.GetTask().GetCorrelationId())
	require.Equal(t, parent, made.GetTask().GetParentCorrelationId())
	require.Equal(t, taskerv1.TaskState_TASK_STATE_STEPS_IN_PROCESS, made.GetTask().GetState())

	// Watched over gRPC, with steps, from before it ends until it has.
	stream, err := tasks.StreamTaskStatus(t.Context(), &taskerv1.StreamTaskStatusRequest{TaskUuid: id, IncludeSteps: true})
	require.NoError(t, err)
	u, err := stream.Recv()
	require.NoError(t, err)
	require.Equal(t, taskerv1.TaskState_TASK_STATE_STEPS_IN_PROCESS, u.GetTaskState())
	close(release)
	seen := map[string][]taskerv1.StepState{}
	var last taskerv1.TaskState
	for {
		u, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if st := u.GetStepUpdate(); st != nil {
			seen[st.GetName()] = append(seen[st.GetName()], st.GetState())
		} else {
			last = u.GetTaskState()
		}
	}
	require.Equal(t, taskerv1.TaskState_TASK_STATE_COMPLETE, last)
	require.Equal(t, []taskerv1.StepState{
		taskerv1.StepState_STEP_STATE_ENQUEUED, taskerv1.StepState_STEP_STATE_IN_PROGRESS, taskerv1.StepState_STEP_STATE_COMPLETE,
	}, seen["second"])

	// The same facts through both doors.
	got, err := tasks.GetTask(t.Context(), &taskerv1.GetTaskRequest{TaskUuid: id, IncludeSteps: true, IncludeContext: true})
	require.NoError(t, err)
	require.Len(t, got.GetSteps(), 2)
	require.InDelta(t, 7, got.GetContext().GetMerged().GetFields()["n"].GetNumberValue(), 0)
	require.NotNil(t, got.GetTask().GetCompletedAt())
	code, _, rest := s.call(t, http.MethodGet, "/v1/tasks/"+id, "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "complete", rest["status"])
	require.Equal(t, map[string]any{"n": 7.0, "nested": map[string]any{"list": []any{1.0, "two", nil, true}}}, rest["context"])
	require.Equal(t, []any{"a", "b"}, rest["tags"])
	require.InDelta(t, 10, rest["priority"], 0)
	require.Equal(t, "shop", rest["source_system"])
	require.InDelta(t, 100, rest["completion_percentage"], 0)

	one, err := steps.GetStep(t.Context(), &taskerv1.GetStepRequest{TaskUuid: id, StepUuid: got.GetSteps()[0].GetStepUuid()})
	require.NoError(t, err)
	require.Equal(t, "first", one.GetStep().GetName())
	require.InDelta(t, 1, one.GetStep().GetResults().GetFields()["result"].GetStructValue().GetFields()["n"].GetNumberValue(), 0)
	code, _, step := s.call(t, http.MethodGet, "/v1/tasks/"+id+"/workflow_steps/"+got.GetSteps()[1].GetStepUuid(), "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "second", step["name"])
	require.InDelta(t, 1, step["completed_parents"], 0)
	require.Equal(t, "ok", step["results"].(map[string]any)["result"])

	list, err := tasks.ListTasks(t.Context(), &taskerv1.ListTasksRequest{States: []taskerv1.TaskState{taskerv1.TaskState_TASK_STATE_COMPLETE}})
	require.NoError(t, err)
	require.Len(t, list.GetTasks(), 1)
	require.EqualValues(t, 1, list.GetPagination().GetTotal())

	// A task that has ended is told at once, and the stream is over.
	stream, err = tasks.StreamTaskStatus(t.Context(), &taskerv1.StreamTaskStatusRequest{TaskUuid: id})
	require.NoError(t, err)
	u, err = stream.Recv()
	require.NoError(t, err)
	require.Equal(t, taskerv1.TaskState_TASK_STATE_COMPLETE, u.GetTaskState())
	_, err = stream.Recv()
	require.ErrorIs(t, err, io.EOF)
	cancelled, err := tasks.CancelTask(t.Context(), &taskerv1.CancelTaskRequest{TaskUuid: id})
	require.NoError(t, err)
	require.False(t, cancelled.GetSuccess())
	require.Contains(t, cancelled.GetMessage(), "complete")
	code, _, problem := s.call(t, http.MethodDelete, "/v1/tasks/"+id, "")
	require.Equal(t, http.StatusBadRequest, code)
	require.Equal(t, "task_finished", problem["code"])
}

func TestWhatIsWrongIsToldAlikeByBothDoors(t *testing.T) {
	t.Parallel()
	s := start(t, twoSteps, worker.Handlers{"first": worker.Func(ok), "second": worker.Func(ok)})
	conn := s.dial(t)
	tasks, steps := taskerv1.NewTaskServiceClient(conn), taskerv1.NewStepServiceClient(conn)
	exists := s.create(t, "two", map[string]any{}).String()
	other := s.create(t, "two", map[string]any{"n": 1})
	nobody := uuid.NewString()
	object := func(members map[string]any) *structpb.Struct {
		made, err := structpb.NewStruct(members)
		require.NoError(t, err)
		return made
	}
	create := func(name string, in *structpb.Struct) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := tasks.CreateTask(ctx, &taskerv1.CreateTaskRequest{Name: name, Namespace: "t", Version: "1.0.0", Context: in})
			return err
		}
	}
	for name, c := range map[string]struct {
		call   func(context.Context) error
		code   codes.Code
		method string
		path   string
		body   string
		status int
		reason string
	}{
		"no name": {
			create("", nil), codes.InvalidArgument,
			http.MethodPost, "/v1/tasks", `{"namespace":"t","version":"1.0.0","name":""}`, http.StatusBadRequest, "invalid_field",
		},
		"unknown template": {
			create("nope", nil), codes.InvalidArgument,
			http.MethodPost, "/v1/tasks", `{"name":"nope","namespace":"t","version":"1.0.0"}`, http.StatusNotFound, "template_not_found",
		},
		"against the schema": {
			create("two", object(map[string]any{"n": "seven"})), codes.InvalidArgument,
			http.MethodPost, "/v1/tasks", `{"name":"two","namespace":"t","version":"1.0.0","context":{"n":"seven"}}`, http.StatusBadRequest, "input_schema_mismatch",
		},
		"NUL": {
			create("two", object(map[string]any{"s": "a\x00b"})), codes.InvalidArgument,
			http.MethodPost, "/v1/tasks", `{"name":"two","namespace":"t","version":"1.0.0","context":{"s":"a\u0000b"}}`, http.StatusBadRequest, "invalid_field",
		},
		"duplicate": {
			create("two", nil), codes.AlreadyExists,
			http.MethodPost, "/v1/tasks", `{"name":"two","namespace":"t","version":"1.0.0"}`, http.StatusConflict, "task_exists",
		},
		"malformed task id": {
			func(ctx context.Context) error {
				_, err := tasks.GetTask(ctx, &taskerv1.GetTaskRequest{TaskUuid: "zzz"})
				return err
			}, codes.InvalidArgument,
			http.MethodGet, "/v1/tasks/zzz", "", http.StatusBadRequest, "invalid_uuid",
		},
		"unknown task": {
			func(ctx context.Context) error {
				_, err := tasks.GetTask(ctx, &taskerv1.GetTaskRequest{TaskUuid: nobody})
				return err
			}, codes.NotFound,
			http.MethodGet, "/v1/tasks/" + nobody, "", http.StatusNotFound, "task_not_found",
		},
		"step of another task": {
			func(ctx context.Context) error {
				_, err := steps.GetStep(ctx, &taskerv1.GetStepRequest{TaskUuid: exists, StepUuid: other.String()})
				return err
			}, codes.InvalidArgument,
			http.MethodGet, "/v1/tasks/" + exists + "/workflow_steps/" + other.String(), "", http.StatusNotFound, "step_of_another_task",
		},
		"page too large": {
			func(ctx context.Context) error {
				limit := int32(1000)
				_, err := tasks.ListTasks(ctx, &taskerv1.ListTasksRequest{Pagination: &taskerv1.PaginationRequest{Limit: &limit}})
				return err
			}, codes.InvalidArgument,
			http.MethodGet, "/v1/tasks?per_page=1000", "", http.StatusBadRequest, "invalid_field",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := status.Convert(c.call(t.Context()))
			require.Equal(t, c.code, got.Code(), got.Message())
			require.Equal(t, c.reason, reasonOf(got))
			code, _, problem := s.call(t, c.method, c.path, c.body)
			require.Equal(t, c.status, code, problem)
			require.Equal(t, c.reason, problem["code"])
			for _, text := range []string{got.Message(), problem["detail"].(string)} {
				require.NotContains(t, strings.ToLower(text), "sqlstate")
				require.NotContains(t, text, "goroutine")
			}
		})
	}
}

func reasonOf(s *status.Status) string {
	for _, d := range s.Details() {
		if info, is := d.(*errdetails.ErrorInfo); is {
			return info.GetReason()
		}
	}
	return ""
}

func TestKeysAreAskedForAtBothDoors(t *testing.T) {
	t.Parallel()
	s := startWith(t, pgtest.New(t, schema).URL, twoSteps, nil, func(c *configuration.Config) {
		c.Orchestration.Web.Auth.Enabled = true
		c.Orchestration.Web.Auth.APIKeysEnabled = true
		c.Orchestration.Web.Auth.APIKeys = []configuration.APIKey{
			{Key: "all", Description: "operator"},
			{Key: "reader", Permissions: []string{"tasks:read", "tasks:list"}, Description: "dashboard"},
		}
	})
	conn := s.dial(t)
	tasks := taskerv1.NewTaskServiceClient(conn)
	body := `{"name":"two","namespace":"t","version":"1.0.0"}`
	for name, c := range map[string]struct {
		key  string
		rest int
		grpc codes.Code
	}{
		"none":              {"", http.StatusUnauthorized, codes.Unauthenticated},
		"wrong":             {"guess", http.StatusUnauthorized, codes.Unauthenticated},
		"without the right": {"reader", http.StatusForbidden, codes.PermissionDenied},
	} {
		code, headers, _ := s.call(t, http.MethodPost, "/v1/tasks", body, "X-API-Key", c.key)
		require.Equal(t, c.rest, code, name)
		require.NotEmpty(t, headers.Get("X-Auth-Failure-Reason"), name)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-api-key", c.key)
		_, err := tasks.CreateTask(ctx, &taskerv1.CreateTaskRequest{Name: "two", Namespace: "t", Version: "1.0.0"})
		require.Equal(t, c.grpc, status.Code(err), name)
		stream, err := tasks.StreamTaskStatus(metadata.AppendToOutgoingContext(t.Context(), "x-api-key", "guess"), &taskerv1.StreamTaskStatusRequest{})
		require.NoError(t, err)
		_, err = stream.Recv()
		require.Equal(t, codes.Unauthenticated, status.Code(err))
	}
	code, _, _ := s.call(t, http.MethodPost, "/v1/tasks", body, "X-API-Key", "all")
	require.Equal(t, http.StatusCreated, code)
	_, err := tasks.ListTasks(metadata.AppendToOutgoingContext(t.Context(), "x-api-key", "reader"), &taskerv1.ListTasksRequest{})
	require.NoError(t, err)
	// Health needs none.
	code, _, _ = s.call(t, http.MethodGet, "/health/ready", "")
	require.Equal(t, http.StatusOK, code)
	h, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "tasker.v1.TaskService"})
	require.NoError(t, err)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, h.GetStatus())
	ready, err := taskerv1.NewHealthServiceClient(conn).CheckReadiness(t.Context(), &taskerv1.ReadinessRequest{})
	require.NoError(t, err)
	require.Equal(t, "healthy", ready.GetChecks().GetCommandProcessor().GetStatus())
}

// A stream that waits for a task ends, and says why, when the server stops.
func TestStreamsEndWithTheServer(t *testing.T) {
	t.Parallel()
	s := startWith(t, pgtest.New(t, schema).URL, twoSteps, nil, func(c *configuration.Config) {
		c.Orchestration.ShutdownTimeout = 100 * time.Millisecond
	})
	id := s.create(t, "two", map[string]any{})
	stream, err := taskerv1.NewTaskServiceClient(s.dial(t)).StreamTaskStatus(t.Context(), &taskerv1.StreamTaskStatusRequest{TaskUuid: id.String()})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	s.stop()
	_, err = stream.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
}
