package e2e_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/test/crash/program"
)

// A port that is in use stops the start, with one line that names it and the
// setting to change.
func TestABusyPortIsOneClearLine(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t).URL
	for flag, key := range map[string]string{"--web-port": "orchestration.web.port", "--grpc-port": "orchestration.grpc.port"} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close() //nolint:errcheck // a listener of the test
			_, port, err := net.SplitHostPort(l.Addr().String())
			require.NoError(t, err)

			p := launch(t, serverPath, plain("--database-url", url, "--log-level", "error", flag, port)...)
			code, err := p.Wait(within(t, limit))
			require.NoError(t, err)
			require.Equal(t, 1, code)
			said := strings.TrimSpace(p.Tail())
			require.NotContains(t, said, "\n", "more than one line")
			require.Contains(t, said, port)
			require.True(t, strings.Contains(said, key) || strings.Contains(said, flag), "names no setting: %s", said)
		})
	}
}

// Ctrl-C lets running steps finish, and ends well.
func TestAnInterruptDrains(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.Empty(t).URL)
	p := w.worker(t)
	w.ask(p)
	for range 20 {
		require.NoError(t, w.create(within(t, limit), 500))
	}
	eventually(t, "steps run", func() bool { return w.begun(t, p.PID) >= 10 })
	p.Signal(syscall.SIGINT)
	code, err := p.Wait(within(t, limit))
	require.NoError(t, err)
	require.Equal(t, 0, code, p.Tail())
	require.Zero(t, w.query(t, "select count(*) from tasker.workflow_steps where state = 'in_progress'"))
	require.Positive(t, w.query(t, "select count(*) from tasker.tasks where state <> 'complete'"), "it was over too soon to show anything")

	w.worker(t)
	report := w.check(t)
	require.Zero(t, report.CutOff, "a drain interrupts no step")
	require.Zero(t, report.Repeats)
}

// The second Ctrl-C does not wait.
func TestASecondInterruptEndsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.Empty(t).URL)
	p := w.worker(t)
	w.ask(p)
	for range 20 {
		require.NoError(t, w.create(within(t, limit), 3_600_000))
	}
	eventually(t, "steps run", func() bool { return w.begun(t, p.PID) >= 10 })
	p.Signal(syscall.SIGINT)
	eventually(t, "it drains", func() bool { return strings.Contains(p.Tail(), "letting running steps finish") })
	// Pressed again and again: one that comes in the same moment as the first is
	// the first.
	require.Eventually(t, func() bool {
		p.Signal(syscall.SIGINT)
		select {
		case <-p.Exited:
			return true
		default:
			return false
		}
	}, limit/3, 20*time.Millisecond)
	code, err := p.Wait(within(t, limit))
	require.NoError(t, err)
	require.NotEqual(t, 0, code)
}

// The plain server runs on a PostgreSQL of its own, stops it, finds its data
// again, and shares them with nobody.
func TestASecondStartFindsTheData(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "tasker-data-") //nolint:usetesting // t.TempDir is closed to PostgreSQL's user
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	data := filepath.Join(dir, "postgres")
	reaper.Postgres(data)
	template := filepath.Join(dir, "one.yaml")
	require.NoError(t, os.WriteFile(template, []byte(
		"{name: one, namespace_name: e2e, version: 1.0.0, steps: [{name: only, handler: {callable: nobody}}]}"), 0o600))
	args := plain("--data-dir", data, "--templates", template)
	client := program.NewClient(limit)

	first := start(t, serverPath, args...)
	made, err := client.Create(t.Context(), first.HTTP, "e2e", "one", map[string]int{"a": 1})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, made.Status, made.Body)

	other := launch(t, serverPath, args...)
	code, err := other.Wait(within(t, limit))
	require.NoError(t, err)
	require.Equal(t, 1, code)
	require.Contains(t, other.Tail(), fmt.Sprintf("process %d", first.PID))

	first.Signal(syscall.SIGINT)
	code, err = first.Wait(within(t, limit))
	require.NoError(t, err)
	require.Equal(t, 0, code, first.Tail())
	_, alive := program.Postmaster(data)
	require.False(t, alive, "its PostgreSQL must stop with it")

	second := start(t, serverPath, args...)
	got, err := client.Get(t.Context(), second.HTTP, made.TaskID)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Equal(t, made.TaskID, got.TaskID)
	again, err := client.Create(t.Context(), second.HTTP, "e2e", "one", map[string]int{"a": 1})
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, again.Status, again.Body)
	require.Equal(t, made.TaskID, again.TaskID)
	second.Signal(syscall.SIGTERM)
	code, err = second.Wait(within(t, limit))
	require.NoError(t, err)
	require.Equal(t, 0, code, second.Tail())
}

// notes collects what a program writes.
type notes struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.String()
}

// The crash harness itself may be killed: its server, its PostgreSQL and its
// files go with it.
func TestNothingOutlivesTheHarness(t *testing.T) {
	t.Parallel()
	tmp, err := os.MkdirTemp("", "tasker-tmp-") //nolint:usetesting // as above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(tmp)) })
	require.NoError(t, os.Chmod(tmp, 0o711))
	var said notes
	p, err := program.Launch(program.Spec{
		Path: workerPath, Args: []string{"-tasks", "200", "-kills", "10", "-postgres-kills", "0"}, Dir: "/",
		Env: []string{"TMPDIR=" + tmp}, Log: &said, Watch: reaper,
	})
	require.NoError(t, err)
	ends(t, p)
	eventually(t, "it kills", func() bool { return strings.Contains(said.String(), "killed: ") })
	dirs, err := filepath.Glob(tmp + "/tasker-crash-*")
	require.NoError(t, err)
	require.Len(t, dirs, 1)
	postmaster, alive := program.Postmaster(filepath.Join(dirs[0], "postgres"))
	require.True(t, alive)
	p.Signal(killed)
	<-p.Exited
	eventually(t, "PostgreSQL ends", func() bool { return syscall.Kill(postmaster, 0) != nil })
	eventually(t, "the files are removed", func() bool {
		_, err := os.Stat(dirs[0])
		return os.IsNotExist(err)
	})
}
