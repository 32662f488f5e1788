package bootstrap

import (
	"context"
	"log/slog"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/auth"
	grpcapi "github.com/tasker-go/tasker/adapters/grpc"
	httpapi "github.com/tasker-go/tasker/adapters/http"
	"github.com/tasker-go/tasker/adapters/ratelimit"
	"github.com/tasker-go/tasker/adapters/telemetry"
	"github.com/tasker-go/tasker/adapters/tlsfiles"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/core/app"
)

// door is a way in: REST or gRPC.
type door interface {
	Listen() error
	Addr() string
	Serve() error
	Shutdown(ctx context.Context) error
}

// doors are those that are enabled.
type doors struct{ web, rpc door }

func (d doors) http() string { return address(d.web) }
func (d doors) grpc() string { return address(d.rpc) }

// drain tells who asks about the server's health that it takes no more work,
// while the doors still answer.
func (d doors) drain() {
	if g, ok := d.rpc.(*grpcapi.Server); ok {
		g.Drain()
	}
}

func address(d door) string {
	if d == nil {
		return ""
	}
	return d.Addr()
}

var doorsModule = fx.Module("doors",
	fx.Provide(
		newCertificates,
		newLimits,
		newDoors,
	),
	fx.Invoke(func(lc fx.Lifecycle, down fx.Shutdowner, d doors, log *slog.Logger) {
		open(lc, down, log, "http", d.web)
		open(lc, down, log, "grpc", d.rpc)
	}),
)

func newDoors(cfg *configuration.Config, a *app.Application, h *app.Health, keys *auth.Keys, certs *certificates,
	limits *ratelimit.Limits, m *telemetry.Metrics, log *slog.Logger,
) (doors, error) {
	var d doors
	if web := cfg.Orchestration.Web; web.Enabled {
		c := httpapi.Config{
			Host: web.Host, Port: web.Port, RequestTimeout: web.RequestTimeout, MaxWait: web.MaxWait, MaxBodyBytes: int64(web.MaxBodyBytes),
			Identity: tlsfiles.Peer, AllowedOrigins: web.CORS.AllowedOrigins,
		}
		if limits != nil { // a nil of its type is no nil Limiter
			c.Limiter = limits
		}
		var err error
		if c.TLS, err = certs.of("http", web.TLS, "h2", "http/1.1"); err != nil {
			return d, err
		}
		s, err := httpapi.New(c, a, h, keys, m.Handler(), log)
		if err != nil {
			return d, err
		}
		d.web = s
	}
	if g := cfg.Orchestration.GRPC; g.Enabled {
		c := grpcapi.Config{
			Host: g.Host, Port: g.Port, KeepaliveInterval: g.KeepaliveInterval, KeepaliveTimeout: g.KeepaliveTimeout,
			MaxStreams: uint32(g.MaxConcurrentStreams), MaxMessageBytes: g.MaxMessageBytes, //nolint:gosec // G115: a checked range
			Reflection: g.EnableReflection, Health: g.EnableHealthService, Identity: tlsfiles.Peer,
		}
		if limits != nil {
			c.Limiter = limits
		}
		var err error
		if c.TLS, err = certs.of("grpc", g.TLS, "h2"); err != nil {
			return d, err
		}
		d.rpc = grpcapi.New(c, a, h, keys, log)
	}
	return d, nil
}

// open has a door serve for the life of the application. It takes its address
// while starting, so that a port that is in use stops the start.
func open(lc fx.Lifecycle, down fx.Shutdowner, log *slog.Logger, name string, d door) {
	if d == nil {
		return
	}
	lc.Append(fx.StartHook(func() error {
		if err := d.Listen(); err != nil {
			return userError{err}
		}
		return nil
	}))
	background(lc, down, log, name, func(context.Context) error { return d.Serve() })
	lc.Append(fx.StopHook(d.Shutdown))
}
