// Package bootstrap puts the server together: it is the one place that knows
// every adapter. Uber Fx wires one module per adapter and actor; the order of
// the modules is the order of start, and stopping is its reverse.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/tasker-go/tasker/adapters/telemetry"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/worker"
)

// Options says what a program adds to the server.
type Options struct {
	Config    *configuration.Config
	Templates fs.FS           // YAML files; nil for none
	Handlers  worker.Handlers // run in this process; nil for none
	Slots     int             // handlers that run at once
	Version   string
	Log       *slog.Logger                        // nil for one on standard error, as configured
	Ready     func(ctx context.Context, s Server) // called once the server serves; may be nil
	Warnings  []configuration.Warning             // of the configuration, to be logged

	Tracer      pgx.QueryTracer // sees every statement; for measurements
	ClockOffset time.Duration   // added to the database's clock; for tests
}

// Server is a running server.
type Server struct {
	HTTPAddr    string // host:port; empty when the door is not enabled
	GRPCAddr    string
	DatabaseURL string
	parts       Parts
}

// Run runs a server until ctx ends or a part of it fails, then drains and stops
// it. It returns nil after an orderly stop.
func Run(ctx context.Context, o Options) error {
	log := o.Log
	if log == nil {
		log = newLogger(o.Config.Common.Telemetry)
	}
	for _, w := range o.Warnings {
		log.WarnContext(ctx, "configuration", "warning", w.String())
	}
	// Most garbage here is short-lived; collecting it less often is worth a fifth
	// of the process' CPU time for some megabytes.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(o.Config.Common.Telemetry.GOGC)
	}
	db, err := openDatabase(ctx, o.Config.Common.Database, log)
	if err != nil {
		return err
	}
	err = serve(ctx, o, db, log)
	return errors.Join(err, db.close(log))
}

func newLogger(c configuration.Telemetry) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo // the configuration was checked
	}
	return telemetry.NewLogger(os.Stderr, level, c.LogFormat == configuration.LogJSON)
}

// startLimit bounds how long the parts may take to start. The database is there
// by then.
const startLimit = 30 * time.Second

func serve(ctx context.Context, o Options, db database, log *slog.Logger) error {
	var p Parts
	broken := make(failure, 1)
	app := fx.New(
		fx.WithLogger(func() fxevent.Logger { return quiet{log} }),
		fx.StartTimeout(startLimit), fx.StopTimeout(o.Config.Orchestration.ShutdownTimeout+15*time.Second),
		fx.Supply(o, db, log),
		fx.Decorate(func(fx.Shutdowner) fx.Shutdowner { return broken }),
		modules(o.Config),
		fx.Populate(&p),
	)
	if err := app.Err(); err != nil {
		return plain(err)
	}
	start, cancel := context.WithTimeout(ctx, app.StartTimeout())
	err := app.Start(start)
	cancel()
	if err == nil {
		s := Server{DatabaseURL: db.url, parts: p, HTTPAddr: p.Doors.http(), GRPCAddr: p.Doors.grpc()}
		log.InfoContext(ctx, "tasker is ready", "http", s.HTTPAddr, "grpc", s.GRPCAddr, "instance", p.DB.Instance())
		if o.Ready != nil {
			go o.Ready(ctx, s)
		}
		select {
		case <-ctx.Done():
		case <-broken:
			err = errors.New("a part of the server failed; the log has the cause")
		}
		log.Info("stopping: letting running steps finish", "limit", o.Config.Orchestration.ShutdownTimeout) //nolint:sloglint // ctx has ended
	} else {
		err = fmt.Errorf("start: %w", plain(err))
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StopTimeout())
	defer cancel()
	if stopErr := app.Stop(stop); stopErr != nil {
		err = errors.Join(err, fmt.Errorf("stop: %w", stopErr))
	}
	return err
}

// failure is told when a part of the server fails. fx has such a thing too, but
// waiting for it takes the signals of the whole process: a second Ctrl-C would
// not end a server that drains, nor the first a program that embeds one.
type failure chan struct{}

// Shutdown implements fx.Shutdowner.
func (f failure) Shutdown(...fx.ShutdownOption) error {
	select {
	case f <- struct{}{}:
	default: // told already
	}
	return nil
}

// plain takes fx's account of its own wiring off an error.
func plain(err error) error {
	if u, ok := errors.AsType[userError](err); ok {
		return u
	}
	return err
}

// userError is an error whose text says all there is to say.
type userError struct{ error }

func (e userError) Unwrap() error { return e.error }

// quiet logs only what fx finds wrong.
type quiet struct{ log *slog.Logger }

// LogEvent implements fxevent.Logger.
func (q quiet) LogEvent(e fxevent.Event) {
	switch e := e.(type) {
	case *fxevent.OnStopExecuted:
		if e.Err != nil {
			q.log.Error("a part did not stop well", "part", e.FunctionName, "error", e.Err)
		}
	case *fxevent.OnStartExecuted:
		q.log.Debug("started", "part", e.FunctionName, "took", e.Runtime)
	}
}

// Parts returns what the server is made of.
func (s Server) Parts() Parts { return s.parts }
