package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/adapters/embeddedpg"
	"github.com/tasker-go/tasker/bootstrap"
	"github.com/tasker-go/tasker/bootstrap/configuration"
)

// cluster is the PostgreSQL that everything is measured on.
type cluster struct {
	url      string
	conn     *pgx.Conn // for the meter and for making databases
	settings pgSettings
	close    func() error
}

// pgSettings are the settings of PostgreSQL that figures depend on most.
type pgSettings struct {
	Version           string `json:"version"`
	Fsync             string `json:"fsync"`
	SynchronousCommit string `json:"synchronous_commit"`
	SharedBuffers     string `json:"shared_buffers"`
}

// openCluster connects to the PostgreSQL at url, or starts one of its own: in
// dataDir, or in a temporary folder that is removed at the end.
func openCluster(ctx context.Context, databaseURL, dataDir string, log *slog.Logger) (_ *cluster, err error) {
	c := &cluster{url: databaseURL, close: func() error { return nil }}
	if databaseURL == "" {
		if err := c.start(ctx, dataDir, log); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.conn, err = pgx.Connect(ctx, c.url); err != nil {
		return nil, err
	}
	stop := c.close
	c.close = func() error {
		return errors.Join(c.conn.Close(context.WithoutCancel(ctx)), stop())
	}
	s := &c.settings
	err = c.conn.QueryRow(ctx, `select current_setting('server_version'), current_setting('fsync'),
		current_setting('synchronous_commit'), current_setting('shared_buffers')`).
		Scan(&s.Version, &s.Fsync, &s.SynchronousCommit, &s.SharedBuffers)
	return c, err
}

func (c *cluster) start(ctx context.Context, dataDir string, log *slog.Logger) error {
	temporary := ""
	if dataDir == "" {
		var err error
		if temporary, err = os.MkdirTemp("", "tasker-bench-"); err != nil {
			return err
		}
		// PostgreSQL's user, who is not root, has to pass.
		if err := os.Chmod(temporary, 0o711); err != nil { //nolint:gosec // G302: as said
			return errors.Join(err, os.RemoveAll(temporary))
		}
		dataDir = filepath.Join(temporary, "postgres")
	}
	server, err := embeddedpg.Start(ctx, embeddedpg.Config{DataDir: dataDir}, log)
	if err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	c.url = server.URL()
	c.close = func() error {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err := server.Stop(stop)
		if temporary != "" {
			// The data may lie elsewhere, where PostgreSQL's user can enter.
			err = errors.Join(err, os.RemoveAll(server.DataDir()), os.RemoveAll(temporary))
		}
		return err
	}
	return nil
}

// newDatabase makes an empty database, in place of one of that name, and returns
// its URL.
func (c *cluster) newDatabase(ctx context.Context, name string) (string, error) {
	quoted := pgx.Identifier{name}.Sanitize()
	for _, sql := range []string{"drop database if exists " + quoted + " with (force)", "create database " + quoted} {
		if _, err := c.conn.Exec(ctx, sql); err != nil {
			return "", fmt.Errorf("make a database: %w", err)
		}
	}
	u, err := url.Parse(c.url)
	if err != nil {
		return "", errors.New("the database URL must be of the form postgresql://user:password@host:5432/database")
	}
	u.Path, u.RawPath = "/"+name, ""
	return u.String(), nil
}

// drop removes databases that newDatabase made.
func (c *cluster) drop(ctx context.Context, names ...string) error {
	var all []error
	for _, name := range names {
		_, err := c.conn.Exec(ctx, "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)")
		all = append(all, err)
	}
	return errors.Join(all...)
}

// serverConfig says which server to run.
type serverConfig struct {
	url     string
	slots   int
	others  []string // namespaces that it serves beside the bench's own
	nobody  bool     // whether it brings a template that nobody serves
	counter *counter
}

// defaultSlots is how many handlers run at once, where that is not the question.
const defaultSlots = 1000

// server is a Tasker server that runs in this process.
type server struct {
	bootstrap.Server
	cancel context.CancelFunc
	ended  chan error
}

// startServer starts a server and returns once it serves.
func startServer(ctx context.Context, c serverConfig, log *slog.Logger) (*server, error) {
	cfg := configuration.Default()
	cfg.Common.Database.URL = configuration.Secret(c.url)
	cfg.Common.Telemetry.LogLevel = configuration.LogWarn
	cfg.Orchestration.Web.Port, cfg.Orchestration.GRPC.Port = 0, 0
	texts, err := templateTexts(c.others)
	if err != nil {
		return nil, err
	}
	if c.nobody {
		texts["unserved"] = unserved(fanned)
		log = slog.New(slog.DiscardHandler) // it would say so of each step
	}
	templates, err := files(texts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &server{cancel: cancel, ended: make(chan error, 1)}
	ready := make(chan bootstrap.Server, 1)
	go func() {
		s.ended <- bootstrap.Run(ctx, bootstrap.Options{
			Config: cfg, Slots: c.slots, Templates: templates, Handlers: handlers(),
			Version: "bench", Log: log, Tracer: c.counter,
			Ready: func(_ context.Context, s bootstrap.Server) { ready <- s },
		})
	}()
	select {
	case s.Server = <-ready:
		return s, nil
	case err := <-s.ended:
		cancel()
		if err == nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("start the server: %w", err)
	}
}

// stop stops the server in order.
func (s *server) stop() error {
	s.cancel()
	if err := <-s.ended; err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	return nil
}

// warmTasks are run before a server that has just started is measured: plans
// are made, caches and the heap are filled.
const warmTasks = 300

func (s *server) warm(ctx context.Context, template string) error {
	_, err := inBulk(ctx, applicationTarget{s.Parts().App}, template, warmTasks)
	return err
}
