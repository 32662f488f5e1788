package embeddedpg_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tasker-go/tasker/adapters/embeddedpg"
)

// childDir makes the test binary a server on the data directory it names.
const childDir = "EMBEDDEDPG_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// started is what a child says when it is up.
type started struct {
	URL     string
	PID     int
	DataDir string
}

// serve runs PostgreSQL until standard input ends.
func serve(dir string) error {
	ctx := context.Background()
	s, err := embeddedpg.Start(ctx, embeddedpg.Config{DataDir: dir}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(started{URL: s.URL(), PID: s.PID(), DataDir: s.DataDir()}); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return s.Stop(ctx)
}

// child is a server in a process of its own.
type child struct {
	started
	cmd   *exec.Cmd
	stdin io.Closer
}

// startChild starts program, a copy of the test binary, as the user, or as our
// own if cred is nil.
func startChild(t *testing.T, program, dataDir string, cred *syscall.Credential) *child {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), childDir+"="+dataDir)
	cmd.Dir = filepath.Dir(dataDir)
	cmd.Stderr = t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &child{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err, "the child did not come up")
	require.NoError(t, json.Unmarshal(line, &c.started))
	return c
}

// kill ends the server, not its PostgreSQL.
func (c *child) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, c.cmd.Process.Kill())
	require.Error(t, c.cmd.Wait())
}

// stop ends both in order.
func (c *child) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, c.stdin.Close())
	require.NoError(t, c.cmd.Wait())
}

// folder returns a new folder that every user can pass, unlike t.TempDir.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "embeddedpg-") //nolint:usetesting // as said
	require.NoError(t, err)
	dir, err = filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func start(t *testing.T, cfg embeddedpg.Config) *embeddedpg.Server {
	t.Helper()
	return startLogging(t, cfg, t.Output())
}

func startLogging(t *testing.T, cfg embeddedpg.Config, log io.Writer) *embeddedpg.Server {
	t.Helper()
	s, err := embeddedpg.Start(t.Context(), cfg, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop(s)) })
	return s
}

func stop(s *embeddedpg.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.Stop(ctx)
}

func startFails(t *testing.T, cfg embeddedpg.Config) error {
	t.Helper()
	s, err := embeddedpg.Start(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		require.NoError(t, stop(s))
	}
	require.Error(t, err)
	t.Log(err)
	return err
}

// exec runs one statement.
func execSQL(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

// one returns the one value of a query.
func one(t *testing.T, url, sql string) (value string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	require.NoError(t, conn.Close(t.Context()))
	return value
}

// alive reports whether a process that is not our child runs.
func alive(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid)) // a zombie has none
	return syscall.Kill(pid, 0) == nil && err == nil
}
