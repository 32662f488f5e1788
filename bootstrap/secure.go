package bootstrap

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/tasker-go/tasker/adapters/ratelimit"
	"github.com/tasker-go/tasker/adapters/telemetry"
	"github.com/tasker-go/tasker/adapters/tlsfiles"
	"github.com/tasker-go/tasker/bootstrap/configuration"
)

// reloadInterval is how often the files of certificates are looked at. They are
// a few kilobytes.
const reloadInterval = 5 * time.Second

// certificates keeps the certificates of the doors.
type certificates struct {
	lc   fx.Lifecycle
	down fx.Shutdowner
	m    *telemetry.Metrics
	log  *slog.Logger
}

func newCertificates(lc fx.Lifecycle, down fx.Shutdowner, m *telemetry.Metrics, log *slog.Logger) *certificates {
	return &certificates{lc, down, m, log}
}

// of returns the configuration of a door's listener, nil without TLS, and has
// the files watched for the life of the application.
func (c *certificates) of(door string, t configuration.TLS, protocols ...string) (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil //nolint:nilnil // no TLS is what was asked for
	}
	auth := map[configuration.ClientAuth]tlsfiles.ClientAuth{
		configuration.ClientAuthNone:    tlsfiles.None,
		configuration.ClientAuthRequest: tlsfiles.Request,
		configuration.ClientAuthRequire: tlsfiles.Require,
	}[t.ClientAuth]
	files, err := tlsfiles.Open(tlsfiles.Config{
		Certificate: t.CertPath, Key: t.KeyPath, ClientCA: t.ClientCAPath, ClientAuth: auth, Protocols: protocols,
	}, c.log.With("door", door))
	if err != nil {
		return nil, userError{err}
	}
	c.m.Certificate(door, files.NotAfter)
	background(c.lc, c.down, c.log, door+" certificate", func(ctx context.Context) error { return files.Run(ctx, reloadInterval) })
	return files.TLS(), nil
}

// rememberedCallers is how many principals, and addresses, a rate limit tells
// apart at once: some megabytes at most.
const rememberedCallers = 10_000

// newLimits returns the rate limit of both doors; nil where none is configured.
func newLimits(cfg *configuration.Config, m *telemetry.Metrics) *ratelimit.Limits {
	r := cfg.Orchestration.Web.RateLimit
	if !r.Enabled {
		return nil
	}
	return ratelimit.New(ratelimit.Config{
		Calls:    ratelimit.Rate{PerSecond: r.RequestsPerSecond, Burst: r.Burst},
		Failures: ratelimit.Rate{PerSecond: r.FailuresPerSecond, Burst: r.FailureBurst},
		Names:    rememberedCallers, Limited: m.Limited(ratelimit.ByPrincipal, ratelimit.ByAddress),
	})
}
