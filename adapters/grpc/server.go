// Package grpc is the gRPC door: the contract of api/tasker/v1 over the
// application. It decodes, authorises, calls one method of the application and
// encodes; what is right or wrong about a request is decided there.
package grpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
)

// Config says where the door is and what it lets in.
type Config struct {
	Host              string
	Port              int           // 0 for any free one
	KeepaliveInterval time.Duration // between pings on a silent connection
	KeepaliveTimeout  time.Duration // for the answer to a ping
	MaxStreams        uint32        // calls at once on one connection
	MaxMessageBytes   int           // of one message, either way
	Reflection        bool
	Health            bool // the standard health service

	TLS      *tls.Config                      // nil for none
	Identity func(tls.ConnectionState) string // whose certificate a client presented; nil without TLS
	Limiter  Limiter                          // nil for no limit
}

// Service is what the door asks the application for.
type Service interface {
	app.TaskOperations
	app.WatchOperations
	app.FollowOperations
	app.BatchOperations
	app.StepOperations
	app.PauseOperations
	app.TemplateOperations
	app.DeadLetterOperations
	app.ResumeOperations
	app.ReportOperations
	app.SecurityOperations
}

var _ Service = (*app.Application)(nil)

// Authenticator says who presents credentials.
type Authenticator interface {
	// Header is the name under which API keys arrive, in any case.
	Header() string
	// Authenticate returns who it is, or a fault unauthenticated.
	Authenticate(ctx context.Context, authorization, key string) (access.Principal, error)
}

// Health reports on the server.
type Health interface {
	Ready(ctx context.Context) app.HealthReport
	Detailed(ctx context.Context) app.HealthReport
}

// Server is the door. Listen, Serve and Shutdown are called in this order.
type Server struct {
	cfg      Config
	server   *grpc.Server
	health   *health.Server
	stopping context.CancelFunc
	listener net.Listener
}

// New returns the door to a service.
func New(cfg Config, s Service, h Health, auth Authenticator, log *slog.Logger) *Server {
	lifetime, stop := context.WithCancel(context.Background())
	g := &gate{auth: auth, changes: s, log: log.With("door", "grpc"), lifetime: lifetime, limiter: cfg.Limiter, identity: cfg.Identity}
	server := grpc.NewServer(append(secured(cfg),
		grpc.StreamInterceptor(g.stream), grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxConcurrentStreams(cfg.MaxStreams), grpc.MaxRecvMsgSize(cfg.MaxMessageBytes), grpc.MaxSendMsgSize(cfg.MaxMessageBytes),
		grpc.ConnectionTimeout(connectTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: cfg.KeepaliveInterval, Timeout: cfg.KeepaliveTimeout}),
		// Clients of the original ping every 30 s, idle or not.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: leastPingGap, PermitWithoutStream: true}),
	)...)
	g.register(server, &taskerv1.TaskService_ServiceDesc, &tasks{service: s})
	g.register(server, &taskerv1.BatchService_ServiceDesc, &batches{service: s})
	g.register(server, &taskerv1.StepService_ServiceDesc, &steps{service: s})
	g.register(server, &taskerv1.TemplateService_ServiceDesc, &templates{service: s})
	g.register(server, &taskerv1.DlqService_ServiceDesc, &letters{service: s})
	g.register(server, &taskerv1.OperatorService_ServiceDesc, &operators{service: s})
	g.register(server, &taskerv1.AnalyticsService_ServiceDesc, &analytics{service: s})
	g.register(server, &taskerv1.ConfigService_ServiceDesc, &configs{service: s})
	g.register(server, &taskerv1.SecurityService_ServiceDesc, &security{service: s})
	g.register(server, &taskerv1.HealthService_ServiceDesc, &healths{health: h})
	d := &Server{cfg: cfg, server: server, stopping: stop}
	if cfg.Health {
		d.health = health.NewServer()
		healthv1.RegisterHealthServer(server, d.health)
		for name := range server.GetServiceInfo() {
			d.health.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
		}
	}
	if cfg.Reflection {
		reflection.Register(server)
	}
	return d
}

const (
	connectTime  = 10 * time.Second
	leastPingGap = 5 * time.Second
)

// Listen takes the address, so that Serve cannot fail for want of it. The error
// says which setting to change.
func (d *Server) Listen() error {
	address := net.JoinHostPort(d.cfg.Host, fmt.Sprint(d.cfg.Port))
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	const port = "set [orchestration.grpc] port, TASKER_ORCHESTRATION_GRPC_BIND_ADDRESS or --grpc-port"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d for gRPC is in use: %s", d.cfg.Port, port)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("port %d for gRPC needs more rights than this user has: %s", d.cfg.Port, port)
	case err != nil:
		return fmt.Errorf("listen on %s for gRPC: %w (%s)", address, err, port)
	}
	d.listener = l
	return nil
}

// Addr returns the address, host:port; empty before Listen.
func (d *Server) Addr() string {
	if d.listener == nil {
		return ""
	}
	return d.listener.Addr().String()
}

// Serve answers calls until Shutdown, then returns nil.
func (d *Server) Serve() error {
	if d.listener == nil {
		return errors.New("serve gRPC: Listen comes first")
	}
	if err := d.server.Serve(d.listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve gRPC: %w", err)
	}
	return nil
}

// Drain tells those who ask the standard health service to go elsewhere. Calls
// are still answered.
func (d *Server) Drain() {
	if d.health != nil {
		d.health.Shutdown()
	}
}

// Shutdown takes no new calls, ends the streams, and waits for the other calls,
// or until ctx ends: then it cuts them off. It may be called before Serve, and
// twice.
func (d *Server) Shutdown(ctx context.Context) error {
	d.Drain()
	d.stopping()
	done := make(chan struct{})
	go func() { d.server.GracefulStop(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		d.server.Stop()
		<-done
		err = ctx.Err()
	}
	if d.listener != nil {
		if closed := d.listener.Close(); closed != nil && !errors.Is(closed, net.ErrClosed) {
			err = errors.Join(err, closed)
		}
	}
	return err
}

// ServiceInfo lists the services and their methods, for tests of parity.
func (d *Server) ServiceInfo() map[string]grpc.ServiceInfo { return d.server.GetServiceInfo() }
