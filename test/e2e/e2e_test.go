// Package e2e starts the real programs, as their users do, and holds them to
// what they promise from outside.
package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/test/crash/checker"
	"github.com/tasker-go/tasker/test/crash/program"
	"github.com/tasker-go/tasker/test/crash/runlog"
)

// The programs, built once for the package: the plain server, and the one with
// handlers that log what they do.
var serverPath, workerPath string

var reaper *program.Reaper

func TestMain(m *testing.M) {
	program.Reap()
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	pgtest.Main(m)
}

// prepare builds the programs. The reaper removes them when we have ended.
func prepare() error {
	dir, err := os.MkdirTemp("", "tasker-e2e-")
	if err != nil {
		return err
	}
	if reaper, err = program.StartReaper(); err != nil {
		return err
	}
	reaper.Remove(dir)
	serverPath, workerPath = filepath.Join(dir, "tasker-server"), filepath.Join(dir, "crash")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", dir+"/", "../../cmd/tasker-server", "../crash")
	build.Stderr = os.Stderr
	return build.Run()
}

// limit bounds every wait.
const limit = 30 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("not within %s", d))
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for a fact.
func eventually(t *testing.T, what string, fact func() bool) {
	t.Helper()
	require.Eventually(t, fact, limit, 2*time.Millisecond, what)
}

// launch starts a program that ends with the test at the latest.
func launch(t *testing.T, path string, args ...string) *program.Process {
	t.Helper()
	p, err := program.Launch(program.Spec{Path: path, Args: args, Dir: t.TempDir(), Watch: reaper})
	require.NoError(t, err)
	ends(t, p)
	return p
}

// start starts a program and waits until it serves.
func start(t *testing.T, path string, args ...string) *program.Process {
	t.Helper()
	p, err := program.Start(within(t, limit), program.Spec{Path: path, Args: args, Dir: t.TempDir(), Watch: reaper})
	require.NoError(t, err)
	ends(t, p)
	return p
}

func ends(t *testing.T, p *program.Process) {
	t.Helper()
	t.Cleanup(func() {
		p.Signal(killed)
		<-p.Exited
		if t.Failed() {
			t.Logf("process %d said at last:\n%s", p.PID, p.Tail())
		}
	})
}

// plain is what the plain server is started with besides.
func plain(args ...string) []string {
	return append([]string{"--web-port", "0", "--grpc-port", "0", "--log-format", "json"}, args...)
}

// world is a database, the log of its handlers, and what clients were told.
type world struct {
	url  string
	path string // of the handlers' log
	rest *program.Client

	next atomic.Int64 // number of the last task

	mu      sync.Mutex
	servers []*program.Process // that clients ask, in turns
	ids     []string
	busy    int // answers that the server cannot do it now
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	return &world{url: url, path: filepath.Join(t.TempDir(), "runs.log"), rest: program.NewClient(10 * time.Second)}
}

// worker starts a server with handlers.
func (w *world) worker(t *testing.T) *program.Process {
	t.Helper()
	return start(t, workerPath, "-child", w.path, "--database-url", w.url)
}

type taskInput struct {
	N       int `json:"n"`
	Longest int `json:"longest_ms"`
}

// ask has clients ask these servers from now on.
func (w *world) ask(servers ...*program.Process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers = servers
}

func (w *world) asked(turn int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.servers[turn%len(w.servers)].HTTP
}

// create makes a task, in spite of whatever happens to the servers; it gives up
// when ctx ends. A step of it takes so many milliseconds at most.
func (w *world) create(ctx context.Context, longest int) error {
	n := int(w.next.Add(1))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		a, err := w.rest.Create(ctx, w.asked(i), "crash", "diamond", taskInput{n, longest})
		switch {
		case err == nil && (a.Status == http.StatusCreated || a.Status == http.StatusConflict):
			w.mu.Lock()
			w.ids = append(w.ids, a.TaskID)
			w.mu.Unlock()
			return nil
		case err == nil && a.Status != http.StatusServiceUnavailable:
			return fmt.Errorf("task %d: %d %s", n, a.Status, a.Body)
		case err == nil:
			w.mu.Lock()
			w.busy++
			w.mu.Unlock()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("task %d: %w (%w)", n, context.Cause(ctx), err)
		}
	}
}

func (w *world) acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.ids)
}

func (w *world) refused() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.busy
}

// lines returns what handlers have logged so far.
func (w *world) lines(t *testing.T) []runlog.Line {
	t.Helper()
	ls, err := runlog.NewReader(w.path).More()
	require.NoError(t, err)
	return ls
}

// begun counts the runs of a process.
func (w *world) begun(t *testing.T, pid int) int {
	t.Helper()
	n := 0
	for _, l := range w.lines(t) {
		if l.Kind == runlog.Begin && l.PID == pid {
			n++
		}
	}
	return n
}

// killInMidStep kills a server while a handler of its runs: it is halted first,
// to see whether one does.
func (w *world) killInMidStep(t *testing.T, p *program.Process) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; {
		p.Signal(syscall.SIGSTOP)
		eventually(t, "the server is halted", func() bool { return halted(p.PID) })
		if w.running(t, p.PID) > 0 {
			break
		}
		require.True(t, time.Now().Before(deadline), "no step runs")
		p.Signal(syscall.SIGCONT)
	}
	p.Signal(killed)
	<-p.Exited
}

// running returns how many handlers of a process have begun and not ended.
func (w *world) running(t *testing.T, pid int) int {
	t.Helper()
	open := map[string]bool{}
	for _, l := range w.lines(t) {
		switch {
		case l.PID != pid:
		case l.Kind == runlog.Begin:
			open[l.Run] = true
		default:
			delete(open, l.Run)
		}
	}
	return len(open)
}

// halted reports whether a process is stopped; where that cannot be seen, it is
// taken to be.
func halted(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(raw), ") ")
	return strings.HasPrefix(state, "T")
}

// connect waits for PostgreSQL: a test may have killed it a moment ago.
func (w *world) connect(t *testing.T) (conn *pgx.Conn) {
	t.Helper()
	eventually(t, "PostgreSQL answers", func() bool {
		var err error
		conn, err = pgx.Connect(t.Context(), w.url)
		return err == nil
	})
	return conn
}

// query reads one number.
func (w *world) query(t *testing.T, sql string) (n int) {
	t.Helper()
	conn := w.connect(t)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

// check waits until all tasks have ended and has everything checked.
func (w *world) check(t *testing.T) *checker.Report {
	t.Helper()
	conn := w.connect(t)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	eventually(t, "all tasks end", func() bool {
		var open int
		require.NoError(t, conn.QueryRow(t.Context(), "select count(*) from tasker.tasks where state <> 'complete'").Scan(&open))
		return open == 0
	})
	tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	report, err := checker.Check(t.Context(), tx, checker.Evidence{Log: w.lines(t), Acknowledged: w.ids, MaxAttempts: 3})
	require.NoError(t, err)
	require.Empty(t, report.Violations)
	require.Equal(t, len(w.ids), report.Tasks)
	return report
}
