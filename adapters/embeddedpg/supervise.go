package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	firstDelay     = 100 * time.Millisecond
	longestDelay   = 5 * time.Second
	firstPoll      = 10 * time.Millisecond
	longestPoll    = 200 * time.Millisecond
	connectTimeout = 5 * time.Second
	deafAfter      = 5 * time.Second // an adopted PostgreSQL that cannot be reached for so long is replaced

	// What PostgreSQL answers while it comes or goes.
	cannotConnectNow   = "57P03" // starting up, recovering or shutting down
	tooManyConnections = "53300"
	adminShutdown      = "57P01"
	crashShutdown      = "57P02"
	duplicateDatabase  = "42P04"
)

// errExited: the process ended before it accepted connections.
var errExited = errors.New("PostgreSQL ended during its start")

// errDeaf: the process lives, but its door is gone.
var errDeaf = errors.New("PostgreSQL runs but cannot be reached")

// launch brings up one postmaster and waits until it accepts connections. It
// takes over a live one, waits for one that is just ending, and clears what a
// dead one left.
func (s *Server) launch(ctx context.Context) error {
	for delay := firstDelay; ; delay = min(2*delay, longestDelay) {
		err := s.launchOnce(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("start PostgreSQL on %s: %w", s.dataDir, errors.Join(context.Cause(ctx), err))
		}
		if !errors.Is(err, errBusy) {
			return err
		}
		wait(ctx, delay)
	}
}

// errBusy: what a former postmaster left is about to go away by itself.
var errBusy = errors.New("processes of the former PostgreSQL are still there")

func (s *Server) launchOnce(ctx context.Context) error {
	if f, ok := readPIDFile(s.dataDir); ok {
		if p := s.adopt(f.pid); p != nil {
			return s.takeOver(ctx, p, f)
		}
		if err := removeIfThere(pidPath(s.dataDir)); err != nil {
			return fmt.Errorf("remove a stale pid file: %w", err)
		}
		s.log.Info("removed the pid file of a PostgreSQL that is no more", "pid", f.pid, "data_dir", s.dataDir)
	}
	p, err := s.spawn()
	if err != nil {
		return err
	}
	s.setCurrent(p)
	err = s.await(ctx, p, s.endpoint)
	if !errors.Is(err, errExited) {
		return err
	}
	text, readErr := os.ReadFile(s.earlyLog())
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	said := lastLines(string(text), 3)
	// Backends of a killed postmaster hold its shared memory until they notice; a
	// postmaster whose parent was killed may have been just about to start.
	if strings.Contains(said, "shared memory block") || strings.Contains(said, `"postmaster.pid" already exists`) {
		return fmt.Errorf("%w: %s", errBusy, said)
	}
	return fmt.Errorf("%w: %s (more in %s)", err, said, filepath.Join(s.dataDir, "log"))
}

// takeOver makes p, which a killed server left running, the postmaster of s.
func (s *Server) takeOver(ctx context.Context, p *postmaster, f pidFile) error {
	if !f.whole {
		return fmt.Errorf("%w: process %d is just starting", errBusy, p.pid)
	}
	s.setCurrent(p)
	door := s.endpoint
	if s.version == "" { // the URL is not given out yet: its door may become ours
		var err error
		if door, err = f.endpoint(s.dataDir); err != nil {
			return err
		}
		door.temporary = s.endpoint.temporary && door.socketDir == s.endpoint.socketDir
	}
	err := s.await(ctx, p, door)
	switch {
	case err == nil:
		if s.version == "" {
			s.endpoint = door
		}
		s.log.Info("took over a PostgreSQL that was still running", "pid", p.pid, "data_dir", s.dataDir)
		return nil
	case errors.Is(err, errExited): // it was on its way out
		return fmt.Errorf("%w: %w", errBusy, err)
	case errors.Is(err, errDeaf):
		s.log.Warn("the PostgreSQL that was still running cannot be reached; starting another", "pid", p.pid)
		return errors.Join(fmt.Errorf("%w: %w", errBusy, err), p.stop(ctx))
	default:
		return err
	}
}

// await returns once p accepts connections at door and is what it should be.
func (s *Server) await(ctx context.Context, p *postmaster, door endpoint) error {
	said := false
	start := time.Now()
	for poll := firstPoll; ; poll = min(2*poll, longestPoll) {
		err := s.probe(ctx, door)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return errExited
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		default:
		}
		waiting := false
		switch sqlState(err) {
		case "": // nobody answers yet
		case cannotConnectNow, tooManyConnections, adminShutdown, crashShutdown:
			waiting = true
		default:
			return fmt.Errorf("PostgreSQL refuses the connection; was %s made by another program? %w", s.dataDir, err)
		}
		if waiting && !said && time.Since(start) > 2*time.Second {
			s.log.Info("waiting for PostgreSQL to start or recover", "data_dir", s.dataDir)
			said = true
		}
		if p.adopted && !waiting && time.Since(start) > deafAfter {
			return fmt.Errorf("%w: %w", errDeaf, err)
		}
		wait(ctx, poll)
	}
}

// probe connects once. Whoever answers must serve our data directory.
func (s *Server) probe(ctx context.Context, door endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return door.withConn(ctx, func(conn *pgx.Conn) error {
		var dir string
		if err := conn.QueryRow(ctx, "select current_setting('data_directory')").Scan(&dir); err != nil {
			return err
		}
		theirs, err := os.Stat(dir)
		if err != nil {
			return err
		}
		ours, err := os.Stat(s.dataDir)
		if err != nil {
			return err
		}
		if !os.SameFile(theirs, ours) {
			return fmt.Errorf("the PostgreSQL at this door serves %s, not %s", dir, s.dataDir)
		}
		return nil
	})
}

// prepare makes the database if it is not there, and returns the version.
func (s *Server) prepare(ctx context.Context) (version string, err error) {
	err = s.endpoint.withConn(ctx, func(conn *pgx.Conn) error {
		if err := conn.QueryRow(ctx, "show server_version").Scan(&version); err != nil {
			return err
		}
		version, _, _ = strings.Cut(version, " ")
		var exists bool
		err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", databaseName).Scan(&exists)
		if err != nil || exists {
			return err
		}
		_, err = conn.Exec(ctx, "create database "+pgx.Identifier{databaseName}.Sanitize())
		if sqlState(err) == duplicateDatabase {
			return nil
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("make the database %s: %w", databaseName, err)
	}
	return version, nil
}

func (e endpoint) withConn(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, e.url("postgres"))
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close(context.WithoutCancel(ctx)))
}

// supervise starts PostgreSQL again whenever it ends, until Stop.
func (s *Server) supervise() {
	defer close(s.supervised)
	for {
		p := s.current()
		select {
		case <-s.lifetime.Done():
			return
		case <-p.exited:
		}
		s.log.Warn("PostgreSQL ended by itself; starting it again", "pid", p.pid, "data_dir", s.dataDir)
		for delay := firstDelay; ; delay = min(2*delay, longestDelay) {
			err := s.launch(s.lifetime)
			if err == nil {
				s.log.Info("PostgreSQL is back", "pid", s.PID(), "data_dir", s.dataDir)
				break
			}
			if s.lifetime.Err() != nil {
				return
			}
			s.log.Error("PostgreSQL does not start; trying again", "error", err, "after", delay)
			wait(s.lifetime, delay)
		}
	}
}

func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
