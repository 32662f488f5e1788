package embeddedpg_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/embeddedpg"
)

const patience = time.Minute // for a loaded machine; nothing waits that long when all is well

func TestDataOutliveARestart(t *testing.T) {
	t.Parallel()
	cfg := embeddedpg.Config{DataDir: filepath.Join(folder(t), "deep", "postgres")}
	first := start(t, cfg)
	execSQL(t, first.URL(), "create table kept as select 42::text as n")
	require.NoError(t, stop(first))
	require.NoError(t, stop(first), "a second stop is the first")
	require.False(t, alive(first.PID()))

	second := start(t, cfg)
	require.Equal(t, first.URL(), second.URL())
	require.Equal(t, "42", one(t, second.URL(), "select n from kept"))
	require.Equal(t, second.Version(), one(t, second.URL(), "select split_part(current_setting('server_version'), ' ', 1)"))
	require.Equal(t, cfg.DataDir, second.DataDir())
	require.Equal(t, "false", one(t, second.URL(), "select pg_is_in_recovery()::text"))
}

func TestOnlyItsUserAndRootGetIn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	s := start(t, embeddedpg.Config{DataDir: dir})
	require.Empty(t, one(t, s.URL(), "show listen_addresses"))
	for _, private := range []string{dir, dir + ".run"} {
		st, err := os.Stat(private)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), st.Mode().Perm(), private)
	}
	st, err := os.Stat(dir + ".password")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode().Perm())
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := start(t, embeddedpg.Config{
		DataDir:  filepath.Join(folder(t), "it's, a \"strange\" folder", "postgres"),
		Settings: map[string]string{"max_connections": "33"},
	})
	for name, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "shared_buffers": "128MB", "max_wal_size": "2GB", "jit": "off",
		"max_connections": "33", "data_checksums": "on", "server_encoding": "UTF8", "timezone": "UTC",
		"full_page_writes": "on", "logging_collector": "on", "log_truncate_on_rotation": "on",
	} {
		require.Equal(t, want, one(t, s.URL(), "show "+name), name)
	}
	require.Equal(t, "C", one(t, s.URL(), "select datcollate from pg_database where datname = current_database()"))
}

func TestPostmasterThatDiesIsRestarted(t *testing.T) {
	t.Parallel()
	s := start(t, embeddedpg.Config{DataDir: filepath.Join(folder(t), "postgres")})
	execSQL(t, s.URL(), "create table kept as select 42::text as n")
	for range 2 {
		dead := s.PID()
		require.NoError(t, syscall.Kill(dead, syscall.SIGKILL))
		eventually(t, s.URL(), "select n from kept", "42")
		require.NotEqual(t, dead, s.PID())
	}
}

func TestStopDuringARestart(t *testing.T) {
	t.Parallel()
	s := start(t, embeddedpg.Config{DataDir: filepath.Join(folder(t), "postgres")})
	require.NoError(t, syscall.Kill(s.PID(), syscall.SIGKILL))
	require.NoError(t, stop(s))
	require.False(t, alive(s.PID()))
}

func TestPostgreSQLThatOutlivedItsServerIsAdopted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	program, err := os.Executable()
	require.NoError(t, err)
	c := startChild(t, program, dir, nil)
	execSQL(t, c.URL, "create table kept as select 42::text as n")
	c.kill(t)
	require.True(t, alive(c.PID))

	s := start(t, embeddedpg.Config{DataDir: dir})
	require.Equal(t, c.PID, s.PID(), "the same process")
	require.Equal(t, c.URL, s.URL())
	require.Equal(t, "42", one(t, s.URL(), "select n from kept"))

	require.NoError(t, syscall.Kill(c.PID, syscall.SIGKILL)) // supervised as well
	eventually(t, s.URL(), "select n from kept", "42")
	require.NotEqual(t, c.PID, s.PID())
}

func TestAdoptedIsStopped(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	program, err := os.Executable()
	require.NoError(t, err)
	c := startChild(t, program, dir, nil)
	c.kill(t)
	s := start(t, embeddedpg.Config{DataDir: dir})
	require.NoError(t, stop(s))
	require.False(t, alive(c.PID))
}

func TestPostgreSQLWithoutADoorIsReplaced(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	program, err := os.Executable()
	require.NoError(t, err)
	c := startChild(t, program, dir, nil)
	c.kill(t)
	require.NoError(t, os.RemoveAll(dir+".run"))
	s := start(t, embeddedpg.Config{DataDir: dir})
	require.NotEqual(t, c.PID, s.PID())
	require.False(t, alive(c.PID))
	require.Equal(t, "1", one(t, s.URL(), "select '1'"))
}

func TestBothDied(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	program, err := os.Executable()
	require.NoError(t, err)
	c := startChild(t, program, dir, nil)
	execSQL(t, c.URL, "create table kept as select g::text as n from generate_series(1, 100000) g")
	c.kill(t)
	require.NoError(t, syscall.Kill(c.PID, syscall.SIGKILL))
	s := start(t, embeddedpg.Config{DataDir: dir})
	require.Equal(t, "100000", one(t, s.URL(), "select count(*)::text from kept"))
}

func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	program, err := os.Executable()
	require.NoError(t, err)
	c := startChild(t, program, dir, nil)
	err = startFails(t, embeddedpg.Config{DataDir: dir})
	require.ErrorIs(t, err, embeddedpg.ErrInUse)
	require.ErrorContains(t, err, "process "+strconv.Itoa(c.cmd.Process.Pid))
	require.True(t, alive(c.PID), "the first goes on")
	c.stop(t)
	start(t, embeddedpg.Config{DataDir: dir})
}

func TestStalePIDFile(t *testing.T) {
	t.Parallel()
	dead := exec.CommandContext(t.Context(), "true")
	require.NoError(t, dead.Run())
	dir := filepath.Join(folder(t), "postgres")
	cfg := embeddedpg.Config{DataDir: dir}
	s := start(t, cfg)
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	require.NoError(t, err)
	require.NoError(t, stop(s))

	// A process of PostgreSQL's own user, which PostgreSQL itself would take for
	// another postmaster.
	live := exec.CommandContext(t.Context(), "sleep", "600")
	live.Dir = filepath.Dir(dir)
	st, err := os.Stat(dir)
	require.NoError(t, err)
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		live.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: sys.Uid, Gid: sys.Gid}}
	}
	require.NoError(t, live.Start())
	t.Cleanup(func() { _ = live.Process.Kill(); _ = live.Wait() })

	_, rest, _ := bytes.Cut(text, []byte("\n"))
	for name, stale := range map[string][]byte{
		"of a dead process":     append([]byte(strconv.Itoa(dead.Process.Pid)+"\n"), rest...),
		"of a foreign process":  append([]byte(strconv.Itoa(live.Process.Pid)+"\n"), rest...),
		"of our own process":    append([]byte(strconv.Itoa(os.Getpid())+"\n"), rest...),
		"that is torn":          []byte("12"),
		"that is empty":         {},
		"that is no pid at all": []byte("garbage\n\n\n"),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "postmaster.pid"), stale, 0o600), name)
		s, err := embeddedpg.Start(t.Context(), cfg, slog.New(slog.DiscardHandler))
		require.NoError(t, err, name)
		require.NoError(t, stop(s), name)
	}
}

func TestHalfMadeDataDirectoryIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	require.NoError(t, os.MkdirAll(filepath.Join(dir+".new", "base"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir+".new", "PG_VERSION"), []byte("15\n"), 0o600))
	require.NoError(t, os.Mkdir(dir, 0o755))
	start(t, embeddedpg.Config{DataDir: dir})
	require.NoDirExists(t, dir+".new")
}

func TestUnusableDataDirectories(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		is   error
		says string
	}{
		"something else in it": {func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600))
		}, embeddedpg.ErrDataDir, "not empty"},
		"a newer version":          {version("99"), embeddedpg.ErrVersion, "postgresql-99"},
		"an older version":         {version("14"), embeddedpg.ErrVersion, "pg_upgrade"},
		"a version of another age": {version("9.6"), embeddedpg.ErrVersion, "pg_dump"},
		"a file": {func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.Remove(dir))
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
		}, embeddedpg.ErrDataDir, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(folder(t), "postgres")
			require.NoError(t, os.Mkdir(dir, 0o700))
			c.make(t, dir)
			err := startFails(t, embeddedpg.Config{DataDir: dir})
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, dir)
		})
	}
}

// version makes dir look like data of a major version, of an ordinary user.
func version(v string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		file := filepath.Join(dir, "PG_VERSION")
		require.NoError(t, os.WriteFile(file, []byte(v+"\n"), 0o600))
		if os.Geteuid() == 0 {
			uid, gid := nobody(t)
			require.NoError(t, os.Chown(file, uid, gid))
			require.NoError(t, os.Chown(dir, uid, gid))
		}
	}
}

func TestBrokenSettingIsReported(t *testing.T) {
	t.Parallel()
	err := startFails(t, embeddedpg.Config{
		DataDir:  filepath.Join(folder(t), "postgres"),
		Settings: map[string]string{"max_connections": "many"},
	})
	require.ErrorContains(t, err, "max_connections")
}

func TestStartCanBeGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(folder(t), "postgres")
	_, err := embeddedpg.Start(ctx, embeddedpg.Config{DataDir: dir}, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, context.Canceled)
	start(t, embeddedpg.Config{DataDir: dir}) // nothing is in the way
}

func TestFolderThatTheUserCannotEnter(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs PostgreSQL as another user")
	}
	closed := filepath.Join(folder(t), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	cfg := embeddedpg.Config{DataDir: filepath.Join(closed, "clone", "postgres")}
	var log bytes.Buffer
	first := startLogging(t, cfg, &log)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(filepath.Dir(first.DataDir()))) })
	require.NotContains(t, first.DataDir(), closed)
	require.Contains(t, log.String(), first.DataDir(), "it says where")
	execSQL(t, first.URL(), "create table kept as select 42::text as n")
	require.NoError(t, stop(first))

	second := start(t, cfg)
	require.Equal(t, first.DataDir(), second.DataDir())
	require.Equal(t, "42", one(t, second.URL(), "select n from kept"))
	require.NoError(t, stop(second))

	require.NoError(t, os.Remove(cfg.DataDir), "the link")
	third := start(t, cfg)
	require.Equal(t, "42", one(t, third.URL(), "select n from kept"), "found without the link too")
}

func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the other tests run as an ordinary user already")
	}
	uid, gid := nobody(t)
	dir := folder(t)
	require.NoError(t, os.Chown(dir, uid, gid))
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := os.ReadFile(self)
	require.NoError(t, err)
	program := filepath.Join(dir, "server")
	require.NoError(t, os.WriteFile(program, text, 0o755))
	cred := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}

	data := filepath.Join(dir, ".tasker", "postgres")
	require.NoError(t, os.Mkdir(filepath.Dir(data), 0o755))
	require.NoError(t, os.Chown(filepath.Dir(data), uid, gid))
	c := startChild(t, program, data, cred)
	execSQL(t, c.URL, "create table kept as select 42::text as n")
	c.kill(t)
	c = startChild(t, program, data, cred) // adopts
	require.Equal(t, "42", one(t, c.URL, "select n from kept"))
	c.stop(t)

	s := start(t, embeddedpg.Config{DataDir: data}) // root runs it as its owner
	require.Equal(t, "42", one(t, s.URL(), "select n from kept"))
	require.NoError(t, stop(s))
	c = startChild(t, program, data, cred) // and leaves nothing in the owner's way
	c.stop(t)
}

func TestPortAndPasswordWhereSocketsDoNotWork(t *testing.T) { //nolint:paralleltest // sets TMPDIR
	dir := folder(t)
	long := filepath.Join(dir, "a-path-that-is-too-long-for-a-socket", "because-the-kernel-allows-a-hundred-bytes-or-so")
	require.NoError(t, os.MkdirAll(long, 0o755))
	t.Setenv("TMPDIR", long)
	s := start(t, embeddedpg.Config{DataDir: filepath.Join(long, "postgres")})
	u, err := url.Parse(s.URL())
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", u.Hostname())
	execSQL(t, s.URL(), "create table kept as select 42::text as n")
	require.NoError(t, syscall.Kill(s.PID(), syscall.SIGKILL))
	eventually(t, s.URL(), "select n from kept", "42")

	u.User = url.UserPassword("tasker", "guess")
	_, err = pgx.Connect(t.Context(), u.String())
	require.ErrorContains(t, err, "password authentication failed")
}

// eventually waits until the query gives want, with new connections.
func eventually(t *testing.T, dbURL, sql, want string) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), dbURL)
		if err != nil {
			return false
		}
		defer conn.Close(t.Context()) //nolint:errcheck // the next try has another
		var got string
		return conn.QueryRow(t.Context(), sql).Scan(&got) == nil && got == want
	}, patience, 20*time.Millisecond)
}

func nobody(t *testing.T) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err = strconv.Atoi(u.Uid)
	require.NoError(t, err)
	gid, err = strconv.Atoi(u.Gid)
	require.NoError(t, err)
	return uid, gid
}
