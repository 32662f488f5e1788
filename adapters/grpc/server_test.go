package grpc_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/tasker-go/tasker/adapters/auth"
	grpcapi "github.com/tasker-go/tasker/adapters/grpc"
	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
)

func server(c grpcapi.Config, s grpcapi.Service) *grpcapi.Server {
	return grpcapi.New(c, s, healthy, auth.New(nil, ""), slog.New(slog.DiscardHandler))
}

func TestListenServeShutdown(t *testing.T) {
	t.Parallel()
	s := server(config, newFake())
	require.Empty(t, s.Addr())
	require.ErrorContains(t, s.Serve(), "Listen comes first")
	require.NoError(t, s.Listen())
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	got, err := taskerv1.NewHealthServiceClient(conn).CheckLiveness(t.Context(), &taskerv1.LivenessRequest{})
	require.NoError(t, err)
	require.Equal(t, "alive", got.GetStatus())
	require.NoError(t, conn.Close())
	require.NoError(t, s.Shutdown(t.Context()))
	require.NoError(t, <-served)
	require.NoError(t, s.Shutdown(t.Context()), "twice")
}

func TestAStartThatFailedLeavesNoListener(t *testing.T) {
	t.Parallel()
	s := server(config, newFake())
	require.NoError(t, s.Listen())
	require.NoError(t, s.Shutdown(t.Context()))
	l, err := net.Listen("tcp", s.Addr())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, s.Serve(), "over before it began")
}

func TestABusyPortSaysWhatToSet(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	c := config
	c.Port = l.Addr().(*net.TCPAddr).Port
	s := server(c, newFake())
	require.EqualError(t, s.Listen(), "port "+strconv.Itoa(c.Port)+
		" for gRPC is in use: set [orchestration.grpc] port, TASKER_ORCHESTRATION_GRPC_BIND_ADDRESS or --grpc-port")
	c.Host = "192.0.2.1" // of nobody
	s = server(c, newFake())
	require.ErrorContains(t, s.Listen(), "[orchestration.grpc]")
}

func TestReflectionListsTheServices(t *testing.T) {
	t.Parallel()
	d := openPlain(t, newFake())
	stream, err := reflectionv1.NewServerReflectionClient(d.conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}))
	got, err := stream.Recv()
	require.NoError(t, err)
	var names []string
	for _, s := range got.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	slices.Sort(names)
	require.Equal(t, []string{
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
		"tasker.v1.AnalyticsService", "tasker.v1.BatchService", "tasker.v1.ConfigService", "tasker.v1.DlqService", "tasker.v1.HealthService",
		"tasker.v1.OperatorService", "tasker.v1.SecurityService", "tasker.v1.StepService",
		"tasker.v1.TaskService", "tasker.v1.TemplateService",
	}, names)
	// The description of a service, as grpcurl asks for it.
	require.NoError(t, stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "tasker.v1.TaskService"},
	}))
	got, err = stream.Recv()
	require.NoError(t, err)
	require.NotEmpty(t, got.GetFileDescriptorResponse().GetFileDescriptorProto())
	// A client that could go on asking does not keep the server from stopping.
	require.NoError(t, d.Shutdown(t.Context()))
	_, err = stream.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err))
}

func TestWithoutReflectionAndHealth(t *testing.T) {
	t.Parallel()
	c := config
	c.Reflection, c.Health = false, false
	s := server(c, newFake())
	require.Len(t, s.ServiceInfo(), 10)
	s.Drain()
	require.NoError(t, s.Shutdown(t.Context()))
}

func TestStandardHealth(t *testing.T) {
	t.Parallel()
	d := open(t, newFake(), healthy, slog.DiscardHandler, keys...) // it asks for no credentials
	c := healthv1.NewHealthClient(d.conn)
	check := func(service string) healthv1.HealthCheckResponse_ServingStatus {
		got, err := c.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		return got.GetStatus()
	}
	services := []string{"", "tasker.v1.TaskService", "tasker.v1.StepService", "tasker.v1.TemplateService", "tasker.v1.HealthService"}
	for _, s := range services {
		require.Equal(t, healthv1.HealthCheckResponse_SERVING, check(s), s)
	}
	_, err := c.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "tasker.v1.Nonsense"})
	require.Equal(t, codes.NotFound, status.Code(err))
	watching, err := c.Watch(t.Context(), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	got, err := watching.Recv()
	require.NoError(t, err)
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, got.GetStatus())
	d.Drain()
	for _, s := range services {
		require.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, check(s), s)
	}
	got, err = watching.Recv()
	require.NoError(t, err)
	require.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, got.GetStatus())
	require.NoError(t, d.Shutdown(t.Context()))
	_, err = watching.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err))
}

func TestShutdownEndsStreams(t *testing.T) {
	t.Parallel()
	f := newFake()
	d := openPlain(t, f)
	stream := follow(t.Context(), t, d, f.add(task.Pending).ID.String(), false)
	next(t, stream)
	require.NoError(t, d.Shutdown(t.Context()))
	_, err := stream.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err))
	told := detailsOf(t, err)
	require.Equal(t, "shutting_down", told.info.GetReason())
	require.NotNil(t, told.retry)
	<-f.left
}

// stuck is an application whose answers do not come before it is let go.
type stuck struct {
	*fake
	asked, release chan struct{}
}

func (s stuck) GetTask(context.Context, ident.TaskID) (app.Task, error) {
	s.asked <- struct{}{}
	<-s.release
	return app.Task{}, nil
}

func TestShutdownWaitsForCallsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patience time.Duration
		code     codes.Code
	}{"long enough": {time.Minute, codes.OK}, "not long enough": {50 * time.Millisecond, codes.Unavailable}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stuck{newFake(), make(chan struct{}), make(chan struct{})}
			d := openPlain(t, s)
			called := make(chan error, 1)
			go func() {
				_, err := taskerv1.NewTaskServiceClient(d.conn).GetTask(context.Background(), &taskerv1.GetTaskRequest{
					TaskUuid: ident.TaskID{6: 0x70, 8: 0x80}.String(),
				})
				called <- err
			}()
			<-s.asked
			ctx, cancel := context.WithTimeout(t.Context(), c.patience)
			defer cancel()
			stopped := make(chan error, 1)
			go func() { stopped <- d.Shutdown(ctx) }()
			if c.code == codes.OK {
				close(s.release)
				require.NoError(t, <-stopped)
			} else {
				require.Equal(t, c.code, status.Code(<-called))
				close(s.release) // handlers are waited for: they use what stops next
				require.ErrorIs(t, <-stopped, context.DeadlineExceeded)
				called <- status.Error(c.code, "")
			}
			require.Equal(t, c.code, status.Code(<-called))
		})
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	c := taskerv1.NewHealthServiceClient(openPlain(t, newFake()).conn)
	well, err := c.CheckHealth(t.Context(), &taskerv1.HealthRequest{})
	require.NoError(t, err)
	require.Equal(t, "healthy", well.GetStatus())
	_, err = time.Parse(time.RFC3339, well.GetTimestamp())
	require.NoError(t, err)
	ready, err := c.CheckReadiness(t.Context(), &taskerv1.ReadinessRequest{})
	require.NoError(t, err)
	require.Equal(t, "ready", ready.GetStatus())
	checks := ready.GetChecks()
	require.EqualValues(t, 3, checks.GetWebDatabase().GetDurationMs())
	for _, each := range []*taskerv1.HealthCheck{
		checks.GetWebDatabase(), checks.GetOrchestrationDatabase(), checks.GetCircuitBreaker(), checks.GetOrchestrationSystem(), checks.GetCommandProcessor(),
	} {
		require.Equal(t, "healthy", each.GetStatus())
	}
	info := ready.GetInfo()
	require.Equal(t, "1.2.3", info.GetVersion())
	require.EqualValues(t, 4, info.GetWebDatabasePoolSize())
	require.InDelta(t, 20, info.GetPoolUtilization().GetTaskerPool().GetUtilizationPercent(), 0)
	require.InDelta(t, 1000, info.GetPoolUtilization().GetPgmqPool().GetMaxAcquireTimeMs(), 0)
	require.EqualValues(t, 1, info.GetPoolUtilization().GetPgmqPool().GetActiveConnections())
}

func TestHealthOfASickServer(t *testing.T) {
	t.Parallel()
	ill := healthy
	ill.report.OK, ill.report.Status = false, "degraded"
	ill.report.Checks = slices.Clone(ill.report.Checks)
	ill.report.Checks[0] = app.Check{Name: app.CheckWebDatabase, Status: app.Unhealthy, Message: "the database does not answer"}
	c := taskerv1.NewHealthServiceClient(open(t, newFake(), ill, slog.DiscardHandler).conn)
	_, err := c.CheckReadiness(t.Context(), &taskerv1.ReadinessRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err))
	told := detailsOf(t, err)
	require.Equal(t, "not_ready", told.info.GetReason())
	require.Equal(t, map[string]string{"web_database": "unhealthy: the database does not answer"}, told.info.GetMetadata())
	require.NotNil(t, told.retry)
	got, err := c.CheckDetailedHealth(t.Context(), &taskerv1.DetailedHealthRequest{})
	require.NoError(t, err)
	require.Equal(t, "degraded", got.GetStatus())
	require.Equal(t, "the database does not answer", got.GetChecks().GetWebDatabase().GetMessage())
	require.NotNil(t, got.GetChecks().GetChannelSaturation())
	require.NotNil(t, got.GetChecks().GetQueueDepth())
	require.NotNil(t, got.GetChecks().GetPoolUtilization())
	live, err := c.CheckLiveness(t.Context(), &taskerv1.LivenessRequest{})
	require.NoError(t, err)
	require.Equal(t, "alive", live.GetStatus())
}
