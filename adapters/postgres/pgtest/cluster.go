package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/embeddedpg"
)

const startTimeout = 2 * time.Minute

// throwaway are settings for data that need not survive a crash of the machine.
// A crash of PostgreSQL alone loses nothing.
var throwaway = map[string]string{
	"fsync":            "off",
	"full_page_writes": "off",
	"max_connections":  "300",
}

// Cluster is a temporary PostgreSQL that a test may stop and start.
type Cluster struct {
	dir    string
	log    *slog.Logger
	server *embeddedpg.Server
	reaper *reaper
	url    string
}

// StartCluster starts a temporary cluster with its data in a new directory.
// Close ends it; should the process be killed before, the cluster ends too.
func StartCluster(ctx context.Context, logger *slog.Logger) (_ *Cluster, err error) {
	dir, err := os.MkdirTemp("", "tasker-pg-")
	if err != nil {
		return nil, err
	}
	// PostgreSQL's user, who is not root, has to pass.
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // G302: as said
		return nil, err
	}
	c := &Cluster{dir: dir, log: logger}
	if c.reaper, err = startReaper(dir, c.dataDir()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.reaper.reap())
	}
	c.url = c.server.URL()
	return c, nil
}

// OwnCluster starts a cluster for this test alone, to be stopped, killed and
// started by it. It has the database of Cluster.URL and nothing in it.
func OwnCluster(t testing.TB) *Cluster {
	t.Helper()
	c, err := StartCluster(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err, "start PostgreSQL for this test")
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// URL returns the connection string of the database that the cluster comes with.
// It stays the same over Stop and Start.
func (c *Cluster) URL() string { return c.url }

// Server returns the running server.
func (c *Cluster) Server() *embeddedpg.Server { return c.server }

// Stop shuts PostgreSQL down until Start is called. Connections are ended and new
// ones refused.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	require.NoError(t, c.server.Stop(t.Context()), "stop PostgreSQL")
}

// Start starts PostgreSQL again after Stop.
func (c *Cluster) Start(t testing.TB) {
	t.Helper()
	require.NoError(t, c.start(t.Context()), "start PostgreSQL again")
	require.Equal(t, c.url, c.server.URL())
}

// Kill kills the postmaster, which the server then starts again by itself.
func (c *Cluster) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, syscall.Kill(c.server.PID(), syscall.SIGKILL), "kill PostgreSQL")
}

// Close stops PostgreSQL and removes its data.
func (c *Cluster) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	return errors.Join(c.server.Stop(ctx), c.reaper.reap())
}

func (c *Cluster) dataDir() string { return filepath.Join(c.dir, "postgres") }

func (c *Cluster) start(ctx context.Context) error {
	server, err := embeddedpg.Start(ctx, embeddedpg.Config{
		DataDir:      c.dataDir(),
		StartTimeout: startTimeout,
		Settings:     throwaway,
	}, c.log)
	if err != nil {
		return err
	}
	c.server = server
	return nil
}

// reaper is a process that outlives this one to stop its PostgreSQL and remove
// the data: the kernel closes the pipe however we end.
type reaper struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

// reapScript waits for the end of its input, then kills the postmaster of the
// data directory $2, waits for it, and removes $1 and wherever the data lie.
const reapScript = `cat >/dev/null
data=$(cd -P "$2" 2>/dev/null && pwd)
if pid=$(head -n 1 "$2/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null; then
	n=0
	while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done
fi
case $data in */postgres) rm -rf "${data%/postgres}" ;; esac
rm -rf "$1"`

func startReaper(dir, dataDir string) (*reaper, error) {
	cmd := exec.Command("/bin/sh", "-c", reapScript, "reaper", dir, dataDir) //nolint:gosec,noctx // outlives any context
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no Ctrl-C from the terminal
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the reaper: %w", err)
	}
	return &reaper{cmd: cmd, pipe: pipe}, nil
}

// reap has the reaper do its work, and waits for it.
func (r *reaper) reap() error { return errors.Join(r.pipe.Close(), r.cmd.Wait()) }

// process is the cluster of this test process, once a test has asked for it.
var process struct {
	sync.Mutex
	cluster *Cluster
}

// shared returns the URL of the cluster that all tests of the process use.
func shared() (string, error) {
	if given := strings.TrimSpace(os.Getenv(EnvURL)); given != "" {
		return given, nil
	}
	process.Lock()
	defer process.Unlock()
	if process.cluster == nil {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		c, err := StartCluster(ctx, slog.New(slog.DiscardHandler))
		if err != nil {
			return "", err
		}
		process.cluster = c
	}
	return process.cluster.URL(), nil
}

func stopShared() error {
	process.Lock()
	defer process.Unlock()
	if process.cluster == nil {
		return nil
	}
	err := process.cluster.Close()
	process.cluster = nil
	return err
}
