package grpc_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	grpcapi "github.com/tasker-go/tasker/adapters/grpc"
	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/task"
)

// invoke calls a method with a request that no method can read, and returns the
// code: what comes before the request is read shows.
func invoke(ctx context.Context, conn *grpc.ClientConn, method string) error {
	if strings.HasSuffix(method, "/StreamTaskStatus") || strings.HasSuffix(method, "/ExplainTask") {
		s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method, grpc.ForceCodec(garbage{}))
		if err != nil {
			return err
		}
		if err := s.SendMsg(struct{}{}); err != nil {
			return err
		}
		if err := s.CloseSend(); err != nil {
			return err
		}
		return s.RecvMsg(nil)
	}
	return conn.Invoke(ctx, method, struct{}{}, nil, grpc.ForceCodec(garbage{}))
}

// garbage encodes everything as a message that breaks off.
type garbage struct{}

func (garbage) Marshal(any) ([]byte, error) { return []byte{0x0a, 0xff}, nil }
func (garbage) Unmarshal([]byte, any) error { return nil }
func (garbage) Name() string                { return "proto" }

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	d := open(t, newFake(), healthy, slog.DiscardHandler, keys...)
	as := func(pairs ...string) context.Context { return metadata.AppendToOutgoingContext(t.Context(), pairs...) }
	may := func(p access.Permission) bool { return p == access.TasksRead || p == access.TasksList }
	for method, op := range grpcapi.Methods() {
		readable := codes.InvalidArgument // the gate let it through to be read
		for name, c := range map[string]struct {
			ctx  context.Context
			want codes.Code
		}{
			"no credentials":       {as(), codes.Unauthenticated},
			"unknown key":          {as("x-api-key", "guess"), codes.Unauthenticated},
			"key not ASCII":        {as("x-api-key", "a b"), codes.Unauthenticated},
			"operator":             {as("x-api-key", "all"), readable},
			"operator, other case": {as("X-API-Key", "all"), readable},
			"reader":               {as("x-api-key", "read"), codes.PermissionDenied},
			"bearer token":         {as("authorization", "Bearer x"), codes.Unauthenticated},
			"bad token, good key":  {as("authorization", "bearer x", "x-api-key", "all"), codes.Unauthenticated},
		} {
			want := c.want
			if op.Permission() == access.Public || name == "reader" && may(op.Permission()) {
				want = readable
			}
			err := invoke(c.ctx, d.conn, method)
			require.Equal(t, want, status.Code(err), "%s, %s: %v", method, name, err)
			told := detailsOf(t, err)
			if want == readable {
				require.Equal(t, "malformed_body", told.info.GetReason())
			}
			require.NotContains(t, err.Error(), "guess")
		}
	}
}

// Without keys nobody is asked for one.
func TestWithoutKeysEverybodyMayDoEverything(t *testing.T) {
	t.Parallel()
	d := openPlain(t, newFake())
	for method := range grpcapi.Methods() {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-api-key", "guess")
		require.Equal(t, codes.InvalidArgument, status.Code(invoke(ctx, d.conn, method)), method)
	}
}

func TestMethodsThatAreNotBuilt(t *testing.T) {
	t.Parallel()
	d := open(t, newFake(), healthy, slog.DiscardHandler, keys...)
	for name, service := range d.ServiceInfo() {
		for _, m := range service.Methods {
			method := "/" + name + "/" + m.Name
			if _, built := grpcapi.Methods()[method]; built || !strings.HasPrefix(name, "tasker.") {
				continue
			}
			require.Equal(t, codes.Unauthenticated, status.Code(invoke(t.Context(), d.conn, method)), method)
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-api-key", "read")
			require.Equal(t, codes.Unimplemented, status.Code(invoke(ctx, d.conn, method)), method)
		}
	}
	for _, method := range []string{"/tasker.v1.WorkerConfigService/GetConfig", "/tasker.v1.TaskService/Nonsense"} {
		require.Equal(t, codes.Unimplemented, status.Code(invoke(t.Context(), d.conn, method)), method)
	}
}

// What cannot be read is the client's mistake, and is said to be.
func TestRequestsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.fail = func(app.Operation) error { panic("reached") }
	notUTF8 := rawMessage("\x0a\x03a\xffb") // field 1, a string
	conn := openPlain(t, f).conn
	err := conn.Invoke(t.Context(), taskerv1.TaskService_CreateTask_FullMethodName, notUTF8, nil, grpc.ForceCodec(notUTF8))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	told := detailsOf(t, err)
	require.Equal(t, "malformed_body", told.info.GetReason())
	require.Contains(t, status.Convert(err).Message(), "UTF-8")
	require.NotContains(t, status.Convert(err).Message(), "proto:")

	// One that is too large is not read at all: grpc-go itself refuses it.
	_, err = taskerv1.NewTaskServiceClient(conn).CreateTask(t.Context(), &taskerv1.CreateTaskRequest{Name: strings.Repeat("x", 2<<20)})
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Contains(t, status.Convert(err).Message(), "1048576")
}

// rawMessage is a codec of one message.
type rawMessage []byte

func (r rawMessage) Marshal(any) ([]byte, error) { return r, nil }
func (rawMessage) Unmarshal([]byte, any) error   { return nil }
func (rawMessage) Name() string                  { return "proto" }

func TestWhoCancelsIsKnown(t *testing.T) {
	t.Parallel()
	f := newFake()
	id := f.add(task.Pending).ID.String()
	d := open(t, f, healthy, slog.DiscardHandler, keys...)
	_, err := taskerv1.NewTaskServiceClient(d.conn).CancelTask(
		metadata.AppendToOutgoingContext(t.Context(), "x-api-key", "all"), &taskerv1.CancelTaskRequest{TaskUuid: id})
	require.NoError(t, err)
	require.Equal(t, "operator", f.by)
}
