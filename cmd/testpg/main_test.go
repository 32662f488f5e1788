package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
)

// asTestpg makes the test binary be testpg.
const asTestpg = "TESTPG_TEST_SELF"

func TestMain(m *testing.M) {
	if os.Getenv(asTestpg) != "" {
		main()
	}
	os.Exit(m.Run())
}

func testpg(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, pgtest.EnvURL+"=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, asTestpg+"=1")
	cmd.Stderr = t.Output()
	return cmd
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"of the command":       {[]string{"--", "sh", "-c", "exit 7"}, 7},
		"success":              {[]string{"sh", "-c", "true"}, 0},
		"a signal":             {[]string{"--", "sh", "-c", "kill -9 $$"}, 128 + 9},
		"no command":           {[]string{"--"}, 2},
		"no such command":      {[]string{"--", "no-such-command"}, 127},
		"the database is told": {[]string{"--", "sh", "-c", `case $` + pgtest.EnvURL + ` in postgres://*) ;; *) exit 1 ;; esac`}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := testpg(t, c.args...)
			_ = cmd.Run() // the code is what counts
			require.Equal(t, c.want, cmd.ProcessState.ExitCode())
		})
	}
}

func TestGivenDatabaseIsUsed(t *testing.T) {
	t.Parallel()
	cmd := testpg(t, "--", "sh", "-c", "echo $"+pgtest.EnvURL)
	cmd.Env = append(cmd.Env, pgtest.EnvURL+"=postgres://elsewhere/x")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "postgres://elsewhere/x\n", string(out))
}

func TestSignalReachesTheCommandAndTheClusterIsRemoved(t *testing.T) {
	t.Parallel()
	tmp, err := os.MkdirTemp("", "testpg-") //nolint:usetesting // PostgreSQL's user must be able to enter it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(tmp)) })
	require.NoError(t, os.Chmod(tmp, 0o755))
	cmd := testpg(t, "--", "sh", "-c", `trap 'echo ended; exit 5' TERM; echo up; sleep 600 & wait`)
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "up\n", line)
	clusters, err := filepath.Glob(filepath.Join(tmp, "tasker-pg-*"))
	require.NoError(t, err)
	require.Len(t, clusters, 1)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	line, err = lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ended\n", line)
	require.Error(t, cmd.Wait())
	require.Equal(t, 5, cmd.ProcessState.ExitCode())
	clusters, err = filepath.Glob(filepath.Join(tmp, "*"))
	require.NoError(t, err)
	require.Empty(t, clusters)
}
