package grpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/tasker-go/tasker/adapters/auth"
	grpcapi "github.com/tasker-go/tasker/adapters/grpc"
	"github.com/tasker-go/tasker/adapters/ratelimit"
	"github.com/tasker-go/tasker/adapters/tlsfiles"
	"github.com/tasker-go/tasker/adapters/tlsfiles/tlstest"
	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/domain/task"
)

// listen serves a door on a port of this machine until it is stopped, or the
// test ends.
func listen(t *testing.T, cfg grpcapi.Config, log slog.Handler, keys ...auth.Key) (addr string, stop func()) {
	t.Helper()
	s := grpcapi.New(cfg, newFake(), healthy, auth.New(keys, ""), slog.New(log))
	require.NoError(t, s.Listen())
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	stop = sync.OnceFunc(func() {
		require.NoError(t, s.Shutdown(context.WithoutCancel(t.Context())))
		require.NoError(t, <-served)
	})
	t.Cleanup(stop)
	_, port, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	return "localhost:" + port, stop
}

func dial(t *testing.T, addr string, c credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(c))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// live asks whether the server lives, and returns the name on its certificate.
func live(t *testing.T, conn *grpc.ClientConn) (string, error) {
	t.Helper()
	var p peer.Peer
	_, err := taskerv1.NewHealthServiceClient(conn).CheckLiveness(t.Context(), &taskerv1.LivenessRequest{}, grpc.Peer(&p))
	if err != nil {
		return "", err
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	require.True(t, ok)
	return info.State.PeerCertificates[0].Subject.CommonName, nil
}

func encrypted(t *testing.T, ask tlsfiles.ClientAuth) (*tlstest.Dir, *tlsfiles.Files, grpcapi.Config) {
	t.Helper()
	dir := tlstest.New(t)
	dir.Issue(t, "first", time.Hour)
	files, err := tlsfiles.Open(tlsfiles.Config{
		Certificate: dir.Certificate, Key: dir.Key, ClientCA: dir.Authority, ClientAuth: ask, Protocols: []string{"h2"},
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	cfg := config
	cfg.TLS, cfg.Identity = files.TLS(), tlsfiles.Peer
	return dir, files, cfg
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir, files, cfg := encrypted(t, tlsfiles.None)
	addr, _ := listen(t, cfg, slog.DiscardHandler)
	kept := dial(t, addr, credentials.NewTLS(dir.Client()))
	name, err := live(t, kept)
	require.NoError(t, err)
	require.Equal(t, "first", name)

	old := dir.Client()
	old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	_, err = live(t, dial(t, addr, credentials.NewTLS(old)))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "protocol version")
	_, err = live(t, dial(t, addr, insecure.NewCredentials()))
	require.Equal(t, codes.Unavailable, status.Code(err), "it is TLS or nothing")

	// A connection that is there lives on with the certificate that it knows.
	dir.Issue(t, "second", time.Hour)
	files.Reload()
	name, err = live(t, kept)
	require.NoError(t, err)
	require.Equal(t, "first", name)
	name, err = live(t, dial(t, addr, credentials.NewTLS(dir.Client())))
	require.NoError(t, err)
	require.Equal(t, "second", name)
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	dir, _, cfg := encrypted(t, tlsfiles.Require)
	var log bytes.Buffer
	addr, stop := listen(t, cfg, slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}), keys...)
	_, err := live(t, dial(t, addr, credentials.NewTLS(dir.Client())))
	require.Equal(t, codes.Unavailable, status.Code(err))
	c := dir.Client()
	c.Certificates = []tls.Certificate{tlstest.New(t).ClientCertificate(t, "stranger", time.Hour)}
	_, err = live(t, dial(t, addr, credentials.NewTLS(c)))
	require.Equal(t, codes.Unavailable, status.Code(err))

	c = dir.Client()
	c.Certificates = []tls.Certificate{dir.ClientCertificate(t, "w", time.Hour, "dns:worker.example")}
	conn := dial(t, addr, credentials.NewTLS(c))
	_, err = live(t, conn)
	require.NoError(t, err)
	_, err = taskerv1.NewTaskServiceClient(conn).ListTasks(t.Context(), &taskerv1.ListTasksRequest{})
	require.Equal(t, codes.Unauthenticated, status.Code(err), "a certificate stands in for no key")
	stop()
	require.Contains(t, log.String(), "method=/tasker.v1.TaskService/ListTasks")
	require.Contains(t, log.String(), "certificate=worker.example")
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	f := newFake()
	known := f.add(task.Complete).ID.String()
	d := openPlain(t, f)
	c := taskerv1.NewTaskServiceClient(d.conn)
	made := `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	for given, kept := range map[string]bool{
		"job.42_attempt-1": true, "": false, "short": false, "with space in it": false, strings.Repeat("a", 129): false,
	} {
		for _, id := range []string{known, "nonsense"} {
			var header metadata.MD
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", given)
			_, err := c.GetTask(ctx, &taskerv1.GetTaskRequest{TaskUuid: id}, grpc.Header(&header))
			require.Equal(t, id == known, err == nil)
			require.Len(t, header.Get("x-request-id"), 1)
			if kept {
				require.Equal(t, given, header.Get("x-request-id")[0])
			} else {
				require.Regexp(t, made, header.Get("x-request-id")[0])
			}
		}
	}
	stream, err := c.StreamTaskStatus(metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "job.42_attempt-1"),
		&taskerv1.StreamTaskStatusRequest{TaskUuid: known})
	require.NoError(t, err)
	header, err := stream.Header()
	require.NoError(t, err)
	require.Equal(t, []string{"job.42_attempt-1"}, header.Get("x-request-id"))
	<-f.left
}

func TestTooManyCalls(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	var mu sync.Mutex
	cfg := config
	cfg.Limiter = ratelimit.New(ratelimit.Config{
		Calls: ratelimit.Rate{PerSecond: 0.5, Burst: 2}, Failures: ratelimit.Rate{PerSecond: 0.1, Burst: 1}, Names: 10,
		Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
	})
	addr, _ := listen(t, cfg, slog.DiscardHandler, keys...)
	conn := dial(t, addr, insecure.NewCredentials())
	c := taskerv1.NewTaskServiceClient(conn)
	list := func(key string) (metadata.MD, error) {
		var trailer metadata.MD
		_, err := c.ListTasks(metadata.AppendToOutgoingContext(t.Context(), "x-api-key", key), &taskerv1.ListTasksRequest{}, grpc.Trailer(&trailer))
		return trailer, err
	}
	for range 2 {
		_, err := list("all")
		require.NoError(t, err)
	}
	trailer, err := list("all")
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Equal(t, []string{"2"}, trailer.Get("retry-after"))
	told := detailsOf(t, err)
	require.Equal(t, "rate_limited", told.info.GetReason())
	require.Equal(t, 2*time.Second, told.retry.GetRetryDelay().AsDuration())
	stream, err := c.StreamTaskStatus(metadata.AppendToOutgoingContext(t.Context(), "x-api-key", "all"), &taskerv1.StreamTaskStatusRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.ResourceExhausted, status.Code(err), "a stream is a call")
	_, err = list("read")
	require.NoError(t, err, "others are not held back")

	// Health is for anybody at any time.
	for range 5 {
		_, err = taskerv1.NewHealthServiceClient(conn).CheckReadiness(t.Context(), &taskerv1.ReadinessRequest{})
		require.NoError(t, err)
		_, err = healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
		require.NoError(t, err)
	}

	mu.Lock()
	now = now.Add(2 * time.Second)
	mu.Unlock()
	_, err = list("all")
	require.NoError(t, err)
	_, err = list("guess")
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	trailer, err = list("guess")
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Equal(t, []string{"10"}, trailer.Get("retry-after"))
	_, err = list("read")
	require.NoError(t, err, "a good key is not held back")
}

func TestMetadataIsBounded(t *testing.T) {
	t.Parallel()
	addr, _ := listen(t, config, slog.DiscardHandler)
	c := taskerv1.NewHealthServiceClient(dial(t, addr, insecure.NewCredentials()))
	_, err := c.CheckHealth(metadata.AppendToOutgoingContext(t.Context(), "x-filler", strings.Repeat("a", 32<<10)), &taskerv1.HealthRequest{})
	require.NoError(t, err)
	_, err = c.CheckHealth(metadata.AppendToOutgoingContext(t.Context(), "x-filler", strings.Repeat("a", 128<<10)), &taskerv1.HealthRequest{})
	require.Error(t, err)
}
