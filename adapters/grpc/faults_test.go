package grpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	grpcapi "github.com/tasker-go/tasker/adapters/grpc"
	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func upper(s string) string { return strings.ToUpper(s) }

type details struct {
	info  *errdetails.ErrorInfo
	bad   *errdetails.BadRequest
	retry *errdetails.RetryInfo
}

func detailsOf(t *testing.T, err error) (d details) {
	t.Helper()
	for _, each := range status.Convert(err).Details() {
		switch each := each.(type) {
		case *errdetails.ErrorInfo:
			d.info = each
		case *errdetails.BadRequest:
			d.bad = each
		case *errdetails.RetryInfo:
			d.retry = each
		default:
			require.Fail(t, "unexpected detail", "%T", each)
		}
	}
	require.NotNil(t, d.info)
	require.Equal(t, "tasker", d.info.GetDomain())
	return d
}

// Everything that can go wrong with every operation has a code.
func TestEveryFaultHasACode(t *testing.T) {
	t.Parallel()
	for _, k := range fault.Kinds() {
		require.Contains(t, grpcapi.Kinds(), k)
	}
	require.Len(t, grpcapi.Kinds(), len(fault.Kinds()))
	want := map[fault.Kind]codes.Code{
		fault.Internal: codes.Internal, fault.Invalid: codes.InvalidArgument, fault.NotFound: codes.NotFound,
		fault.Conflict: codes.AlreadyExists, fault.Refused: codes.FailedPrecondition, fault.Unauthenticated: codes.Unauthenticated,
		fault.PermissionDenied: codes.PermissionDenied, fault.TooLarge: codes.InvalidArgument, fault.Unavailable: codes.Unavailable,
		fault.RateLimited: codes.ResourceExhausted, fault.Timeout: codes.DeadlineExceeded,
	}
	differ := map[[2]string]codes.Code{}
	for op := range app.Operations() {
		for _, code := range fault.Codes() {
			f := fault.New(code, "x")
			got := grpcapi.CodeOf(op, f)
			require.Equal(t, f.Kind == fault.RateLimited, got == codes.ResourceExhausted, "%s", code)
			if got != want[f.Kind] {
				differ[[2]string{string(op), string(code)}] = got
			}
		}
	}
	for op := range app.Operations() { // whatever the operation
		key := [2]string{string(op), string(fault.CodeClientClosed)}
		require.Equal(t, codes.Canceled, differ[key])
		delete(differ, key)
	}
	require.Equal(t, map[[2]string]codes.Code{
		{"CreateTask", "template_not_found"}:     codes.InvalidArgument,
		{"GetStep", "step_of_another_task"}:      codes.InvalidArgument,
		{"GetStepAudit", "step_of_another_task"}: codes.InvalidArgument,
		{"ResolveStep", "step_of_another_task"}:  codes.InvalidArgument,
		{"ResolveStep", "illegal_transition"}:    codes.InvalidArgument,
	}, differ)
	require.Len(t, grpcapi.Exceptions(), len(differ)+1, "a row that says what the table says anyway")
}

func TestFaultsAreTold(t *testing.T) {
	t.Parallel()
	f := newFake()
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	many := fault.New(fault.CodeInvalidInput, "two things are wrong")
	many.Details = []fault.Detail{{Field: "context.a", Message: "is missing"}, {Field: "context.b", Message: "is no number"}}
	for name, w := range map[string]struct {
		err     error
		code    codes.Code
		reason  string
		message string
		meta    map[string]string
		fields  []string
		wait    time.Duration
		trailer string
	}{
		"one field":    {fault.In("tags[3]", fault.CodeInvalidField, "too long"), codes.InvalidArgument, "invalid_field", "too long", nil, []string{"tags[3]"}, 0, ""},
		"many fields":  {many, codes.InvalidArgument, "input_schema_mismatch", "two things are wrong", nil, []string{"context.a", "context.b"}, 0, ""},
		"too large":    {fault.In("context", fault.CodePayloadTooLarge, "big"), codes.InvalidArgument, "payload_too_large", "big", nil, []string{"context"}, 0, ""},
		"template":     {fault.New(fault.CodeTemplateNotFound, "none"), codes.InvalidArgument, "template_not_found", "none", nil, nil, 0, ""},
		"duplicate":    {fault.New(fault.CodeTaskExists, "there").With("task_uuid", "u"), codes.AlreadyExists, "task_exists", "there", map[string]string{"task_uuid": "u"}, nil, 0, ""},
		"full":         {fault.New(fault.CodeMailboxFull, "full").Later(1500 * time.Millisecond), codes.Unavailable, "mailbox_full", "full", nil, nil, 1500 * time.Millisecond, "2"},
		"full, soon":   {fault.New(fault.CodeMailboxFull, "full").Later(time.Millisecond), codes.Unavailable, "mailbox_full", "full", nil, nil, time.Millisecond, "1"},
		"no wait said": {fault.New(fault.CodeShuttingDown, "stopping"), codes.Unavailable, "shutting_down", "stopping", nil, nil, time.Second, "1"},
		"rate":         {fault.New(fault.CodeRateLimited, "slow down").Later(3 * time.Second), codes.ResourceExhausted, "rate_limited", "slow down", nil, nil, 3 * time.Second, "3"},
		"wrapped":      {fmt.Errorf("create: %w", fault.New(fault.CodeBreakerOpen, "open")), codes.Unavailable, "circuit_breaker_open", "open", nil, nil, time.Second, "1"},
		"outage": {
			fmt.Errorf("dial tcp 10.0.0.1:5432: %w", ports.ErrOutage), codes.Unavailable, "database_unavailable",
			"the database cannot be reached", nil, nil, 2 * time.Second, "2",
		},
		"internal": {
			errors.New("pq: secret"), codes.Internal, "internal", "internal error; the server's log has the cause", nil, nil, 0, "",
		},
	} {
		f.fail = func(app.Operation) error { return w.err }
		var trailer metadata.MD
		_, err := c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{Name: "order"}, grpc.Trailer(&trailer))
		require.Equal(t, w.code, status.Code(err), name)
		require.Equal(t, w.message, status.Convert(err).Message(), name)
		got := detailsOf(t, err)
		require.Equal(t, w.reason, got.info.GetReason(), name)
		require.Equal(t, w.meta, got.info.GetMetadata(), name)
		var fields []string
		for _, v := range got.bad.GetFieldViolations() {
			fields = append(fields, v.GetField())
		}
		require.Equal(t, w.fields, fields, name)
		require.Equal(t, w.wait, got.retry.GetRetryDelay().AsDuration(), name)
		require.Equal(t, w.trailer, strings.Join(trailer.Get("retry-after"), ","), name)
	}
}

// A status travels in a header, so it stays small whatever is wrong.
func TestManyViolationsAreCut(t *testing.T) {
	t.Parallel()
	f := newFake()
	many := fault.New(fault.CodeInvalidInput, "1000 things are wrong")
	for i := range 1000 {
		many.Details = append(many.Details, fault.Detail{Field: fmt.Sprintf("context.items[%d]", i), Message: "is missing"})
	}
	f.fail = func(app.Operation) error { return many }
	var trailer metadata.MD
	c := taskerv1.NewTaskServiceClient(openPlain(t, f).conn)
	_, err := c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{}, grpc.Trailer(&trailer))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Greater(t, len(detailsOf(t, err).bad.GetFieldViolations()), 50)
	require.Less(t, len(strings.Join(trailer.Get("grpc-status-details-bin"), "")), 7<<10)
}

func TestWhatIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := newFake()
	d := open(t, f, healthy, slog.NewTextHandler(&log, nil))
	c := taskerv1.NewTaskServiceClient(d.conn)
	_, err := c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{Name: "order"})
	require.NoError(t, err)
	f.fail = func(app.Operation) error { return fault.New(fault.CodeMailboxFull, "full") }
	_, err = c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{})
	require.Error(t, err)
	f.fail = func(app.Operation) error { return fmt.Errorf("conn: %w", ports.ErrOutage) }
	_, err = c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{})
	require.Error(t, err)
	require.Empty(t, log.String(), "nothing that callers cause is logged for each call")

	f.fail = func(app.Operation) error { return errors.New("the cause") }
	_, err = c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{})
	require.Error(t, err)
	require.Contains(t, log.String(), "the cause")
	require.Contains(t, log.String(), "method=/tasker.v1.TaskService/CreateTask")
}

func TestPanicsAreAnswered(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := newFake()
	f.fail = func(app.Operation) error { panic("private") }
	c := taskerv1.NewTaskServiceClient(open(t, f, healthy, slog.NewTextHandler(&log, nil)).conn)
	_, err := c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{Name: "order"})
	require.Equal(t, codes.Internal, status.Code(err))
	require.NotContains(t, err.Error(), "private")
	stream, err := c.StreamTaskStatus(t.Context(), &taskerv1.StreamTaskStatusRequest{TaskUuid: f.add(task.Pending).ID.String()})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.Internal, status.Code(err))
	require.NotContains(t, err.Error(), "private")
	require.Equal(t, 2, strings.Count(log.String(), "panic=private"))
	f.fail = nil
	_, err = c.CreateTask(t.Context(), &taskerv1.CreateTaskRequest{Name: "order"})
	require.NoError(t, err, "the server lives")
}

// slow is an application that waits for the end of the call.
type slow struct{ *fake }

func (slow) GetTask(ctx context.Context, _ ident.TaskID) (app.Task, error) {
	<-ctx.Done()
	return app.Task{}, fmt.Errorf("query: %w", ctx.Err())
}

func TestCallsThatTakeTooLong(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	d := open(t, slow{newFake()}, healthy, slog.NewTextHandler(&log, nil))
	c := taskerv1.NewTaskServiceClient(d.conn)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	id := ident.TaskID{6: 0x70, 8: 0x80}.String()
	_, err := c.GetTask(ctx, &taskerv1.GetTaskRequest{TaskUuid: id})
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = c.GetTask(ctx, &taskerv1.GetTaskRequest{TaskUuid: id})
	require.Equal(t, codes.Canceled, status.Code(err))
	require.NoError(t, d.Shutdown(t.Context())) // waits for the calls
	require.Empty(t, log.String())
}
