package pgtest_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
)

const patience = time.Minute // for a loaded machine

func TestClusterThatATestStopsAndKills(t *testing.T) {
	t.Parallel()
	c := pgtest.OwnCluster(t)
	conn := connect(t, c.URL())
	_, err := conn.Exec(t.Context(), "create table kept as select 42 as n")
	require.NoError(t, err)

	c.Stop(t)
	_, err = pgx.Connect(t.Context(), c.URL())
	require.Error(t, err)
	c.Start(t)
	count := func() bool {
		conn, err := pgx.Connect(t.Context(), c.URL())
		if err != nil {
			return false
		}
		defer conn.Close(t.Context()) //nolint:errcheck // the next try has another
		var n int
		return conn.QueryRow(t.Context(), "select n from kept").Scan(&n) == nil && n == 42
	}
	require.True(t, count())

	before := c.Server().PID()
	c.Kill(t)
	require.Eventually(t, func() bool { return c.Server().PID() != before && count() }, patience, 20*time.Millisecond)
}

// leak makes the test binary start a cluster and be killed.
const leak = "PGTEST_LEAK"

func TestClusterEndsWithAKilledProcess(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestLeak$")
	cmd.Env = append(os.Environ(), leak+"=1")
	out, err := cmd.Output()
	require.Error(t, err, "it killed itself")
	dir, _, ok := strings.Cut(string(out), "\n")
	require.True(t, ok, string(out))
	require.True(t, strings.HasPrefix(filepath.Base(filepath.Dir(dir)), "tasker-pg-"), dir)
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Dir(dir))
		return os.IsNotExist(err)
	}, patience, 20*time.Millisecond, "PostgreSQL is stopped and its data are gone")
}

func TestLeak(t *testing.T) { //nolint:paralleltest // part of the test above
	if os.Getenv(leak) == "" {
		t.Skip("runs in a process of its own")
	}
	c, err := pgtest.StartCluster(context.Background(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	fmt.Println(c.Server().DataDir())
	self, err := os.FindProcess(os.Getpid())
	require.NoError(t, err)
	require.NoError(t, self.Kill())
	select {}
}
