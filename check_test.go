package tasker

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func runCheck(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e strings.Builder
	code = check(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

// The embedded PostgreSQL is looked at while its server runs, and after.
func TestCheckOfAnEmbeddedDatabase(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ready, ended := make(chan Server, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			Args:  []string{"--data-dir", dir, "--web-port", "0", "--grpc-port", "0", "--log-level", "error"},
			Ready: func(_ context.Context, s Server) { ready <- s },
		})
	}()
	select {
	case s := <-ready:
		code, out, errs := runCheck(t, "--data-dir", dir)
		require.Equal(t, checkSound, code, errs)
		require.Equal(t, "0 violations in 0 tasks\n", out)
		conn, err := pgx.Connect(t.Context(), s.DatabaseURL)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "insert into tasker.counts (template_id, kind, state, n) values (9, 'task', 'complete', 1)")
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	case err := <-ended:
		require.NoError(t, err)
	}
	stop()
	require.NoError(t, <-ended)

	code, out, _ := runCheck(t, "--data-dir", dir, "--grace", "1m")
	require.Equal(t, checkBroken, code)
	require.Equal(t, "template 9: I2 counts: 1 of its tasks are counted as complete, and there are 0\n1 violations in 0 tasks\n", out)
	code, out, _ = runCheck(t, "--data-dir", dir, "--quiet")
	require.Equal(t, checkBroken, code)
	require.Equal(t, "1 violations in 0 tasks\n", out)
}

func TestCheckOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no data":         {[]string{"--data-dir", filepath.Join(t.TempDir(), "none")}, "there are no data in"},
		"no server":       {[]string{"--database-url", "postgres://127.0.0.1:1/none"}, "127.0.0.1"},
		"no such flag":    {[]string{"--nonsense"}, "check --help"},
		"no such subject": {[]string{"everything"}, `unexpected argument "everything"`},
		"no grace":        {[]string{"--grace", "0s"}, "--grace"},
		"no duration":     {[]string{"--grace", "long"}, "grace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runCheck(t, c.args...)
			require.Equal(t, checkFailed, code)
			require.Empty(t, out)
			require.Contains(t, errs, c.want)
		})
	}
	code, out, errs := runCheck(t, "--help")
	require.Equal(t, checkSound, code)
	require.Empty(t, errs)
	for _, want := range []string{"--database-url", "--grace", "--quiet", "Exit codes"} {
		require.Contains(t, out, want)
	}
}
