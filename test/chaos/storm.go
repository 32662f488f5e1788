package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/adapters/embeddedpg"
	"github.com/tasker-go/tasker/test/crash/program"
)

const (
	readyLimit = time.Minute
	// Leases are short, so that those of a frozen server are lost while it is.
	lease     = 6 * time.Second
	heartbeat = 2 * time.Second
	// How long what is left may take once nothing is killed any more.
	settleLimit = 3 * time.Minute
	longestStep = 40 // milliseconds
	// One kill in so many is a freeze instead, longer than a lease.
	freezes = 6
	frozen  = lease + 3*time.Second
)

// storm is one run.
type storm struct {
	o       options
	out     io.Writer
	url     string
	servers []*server
	rest    *program.Client

	mu  sync.Mutex
	ids []string // acknowledged tasks

	kills, freezes, meddled, refused int
}

// server is kept running: whenever it has ended it is started again.
type server struct {
	mu  sync.Mutex
	now *program.Process
}

func (s *server) process() *program.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// run does everything, and reports whether the check found violations.
func run(ctx context.Context, o options, out io.Writer) (violations bool, err error) {
	reaper, err := program.StartReaper()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, reaper.Close()) }()
	dir, err := os.MkdirTemp("", "tasker-chaos-")
	if err != nil {
		return false, err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL's user has to pass
		return false, err
	}
	if o.keep {
		fmt.Fprintln(out, "everything stays in", dir)
	} else {
		reaper.Remove(dir)
	}
	data := filepath.Join(dir, "postgres")
	reaper.Postgres(data)
	db, err := embeddedpg.Start(ctx, embeddedpg.Config{DataDir: data}, slog.New(slog.DiscardHandler))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Stop(context.WithoutCancel(ctx))) }()
	logs, err := os.Create(filepath.Join(dir, "servers.log"))
	if err != nil {
		return false, err
	}
	defer logs.Close() //nolint:errcheck // the servers' own words, for people

	fmt.Fprintf(out, "seed %d: %d tasks on %d servers, killed at random for %s\n", o.seed, o.tasks, o.servers, o.duration)
	s := &storm{o: o, out: out, url: db.URL(), rest: program.NewClient(5 * time.Second)}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var keepers sync.WaitGroup
	for range o.servers {
		one := &server{}
		s.servers = append(s.servers, one)
		keepers.Go(func() {
			if err := s.keep(ctx, one, dir, logs, reaper); err != nil {
				stop(err)
			}
		})
	}
	err = s.rage(ctx)
	if err == nil {
		err = s.settle(ctx)
	}
	if err == nil {
		violations, err = s.check(ctx)
	}
	cause := context.Cause(ctx)
	stop(nil)
	keepers.Wait()
	return violations, errors.Join(err, cause)
}

// keep starts a server and starts it again whenever it has ended.
func (s *storm) keep(ctx context.Context, one *server, dir string, logs io.Writer, reaper *program.Reaper) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	spec := program.Spec{
		Path: self, Dir: dir, Log: logs, Watch: reaper, Args: []string{childArgument, "--database-url", s.url},
		Env: []string{
			fmt.Sprintf("TASKER_ORCHESTRATION__DISPATCH__LEASE_DURATION_MS=%d", lease.Milliseconds()),
			fmt.Sprintf("TASKER_ORCHESTRATION__DISPATCH__HEARTBEAT_INTERVAL_MS=%d", heartbeat.Milliseconds()),
		},
	}
	for ctx.Err() == nil {
		start, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("a server was not ready within %s", readyLimit))
		p, err := program.Start(start, spec)
		cancel()
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the run is over
			}
			return err
		}
		one.mu.Lock()
		one.now = p
		one.mu.Unlock()
		select {
		case <-p.Exited:
		case <-ctx.Done():
			p.Close()
			<-p.Exited
		}
	}
	return nil
}

// rage creates tasks, kills and meddles for the time of the run.
func (s *storm) rage(ctx context.Context) error {
	until, cancel := context.WithTimeout(ctx, s.o.duration)
	defer cancel()
	var work sync.WaitGroup
	created := make(chan error, 1)
	work.Go(func() { created <- s.create(ctx) })
	work.Go(func() { s.kill(until) })
	work.Go(func() { s.meddle(until) })
	work.Wait()
	if err := <-created; err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d tasks created; servers killed %d times and frozen %d times; operators acted %d times and were refused %d times\n",
		len(s.ids), s.kills, s.freezes, s.meddled, s.refused)
	return ctx.Err()
}

// create makes the tasks, evenly over the time, each until it is acknowledged.
func (s *storm) create(ctx context.Context) error {
	every := time.NewTicker(max(time.Millisecond, s.o.duration/time.Duration(s.o.tasks)))
	defer every.Stop()
	var asked sync.WaitGroup
	defer asked.Wait()
	for n := range s.o.tasks {
		select {
		case <-every.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		asked.Go(func() { s.createOne(ctx, n) })
	}
	return nil
}

func (s *storm) createOne(ctx context.Context, n int) {
	body := fmt.Sprintf(`{"name": %q, "namespace": "chaos", "version": "1.0.0", "context": {"n": %d, "seed": %d, "failing": %d, "longest_ms": %d}}`,
		[]string{"linear", "diamond", "fanout"}[n%3], n, s.o.seed>>1, s.o.failing, longestStep)
	for ctx.Err() == nil {
		status, id := s.ask(ctx, http.MethodPost, "/v1/tasks", body)
		if (status == http.StatusCreated || status == http.StatusConflict) && id != "" {
			s.mu.Lock()
			s.ids = append(s.ids, id)
			s.mu.Unlock()
			return
		}
		if !wait(ctx, 50*time.Millisecond) {
			return
		}
	}
}

// kill ends servers, or freezes them for longer than a lease.
func (s *storm) kill(ctx context.Context) {
	for wait(ctx, rand.N(2*s.o.pause)) {
		p := s.servers[rand.IntN(len(s.servers))].process()
		if p == nil {
			continue
		}
		if rand.IntN(freezes) > 0 {
			p.Signal(syscall.SIGKILL)
			s.kills++
			continue
		}
		p.Signal(syscall.SIGSTOP)
		s.freezes++
		wait(ctx, frozen)
		p.Signal(syscall.SIGCONT)
	}
}

// meddle does what operators do, to tasks at random.
func (s *storm) meddle(ctx context.Context) {
	for wait(ctx, rand.N(200*time.Millisecond)) {
		s.mu.Lock()
		id := ""
		if len(s.ids) > 0 {
			id = s.ids[rand.IntN(len(s.ids))]
		}
		s.mu.Unlock()
		if id == "" {
			continue
		}
		task := "/v1/tasks/" + id
		var status int
		switch rand.IntN(8) {
		case 0:
			status, _ = s.ask(ctx, http.MethodDelete, task, "")
		case 1:
			status, _ = s.ask(ctx, http.MethodPost, task+"/give_up", `{"reason": "chaos"}`)
		case 2:
			if status, _ = s.ask(ctx, http.MethodPost, task+"/pause", `{"reason": "chaos"}`); status == http.StatusOK {
				wait(ctx, rand.N(300*time.Millisecond))
				for status = 0; status/100 != 2 && context.Cause(ctx) == nil; { // or the task would stay paused
					status, _ = s.ask(context.WithoutCancel(ctx), http.MethodPost, task+"/resume", `{}`)
				}
			}
		default:
			status, _ = s.ask(ctx, http.MethodPost, task+"/retry", `{"reason": "chaos"}`)
		}
		if s.meddled++; status/100 != 2 {
			s.refused++
		}
	}
}

// ask asks some server, and returns the status and the task's id, 0 for no
// answer.
func (s *storm) ask(ctx context.Context, method, path, body string) (int, string) {
	p := s.servers[rand.IntN(len(s.servers))].process()
	if p == nil {
		return 0, ""
	}
	a, err := s.rest.Ask(ctx, method, p.HTTP, path, []byte(body))
	if err != nil {
		return 0, ""
	}
	return a.Status, a.TaskID
}

// settle lets what is paused go and waits until nothing is under way.
func (s *storm) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settleLimit, fmt.Errorf("tasks are still under way after %s without kills", settleLimit))
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the run is over
	for {
		var open, paused int
		err := conn.QueryRow(ctx, `
			select (select count(*) from tasker.tasks where state in ('pending', 'steps_in_process', 'waiting_for_retry', 'waiting_for_dependencies')),
			       (select count(*) from tasker.pauses)`).Scan(&open, &paused)
		if err != nil {
			return err
		}
		if open == 0 {
			return s.count(ctx, conn)
		}
		if paused > 0 { // the server died that was to resume it
			if err := s.resumeAll(ctx, conn); err != nil {
				return err
			}
		}
		if !wait(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

func (s *storm) resumeAll(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "select task_id::text from tasker.pauses where kind = 'task'")
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, id := range ids {
		s.ask(ctx, http.MethodPost, "/v1/tasks/"+id+"/resume", `{}`)
	}
	return err
}

// count says how the tasks have ended.
func (s *storm) count(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `
		select state || ' ' || count(*) from tasker.tasks group by state
		union all select 'dead letters ' || count(*) from tasker.tasks_dlq
		union all select 'lost leases ' || count(*) from tasker.step_transitions where from_state = 'in_progress' and to_state = 'enqueued'
		order by 1`)
	if err != nil {
		return err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, l := range lines {
		fmt.Fprintln(s.out, " ", l)
	}
	return err
}

// check asks the checker.
func (s *storm) check(ctx context.Context) (violations bool, err error) {
	cmd := exec.CommandContext(ctx, s.o.checker, "check", "--database-url", s.url)
	cmd.Stdout, cmd.Stderr = s.out, s.out
	cmd.Env = program.Clean()
	err = cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() == 1 {
		return true, nil
	}
	return false, err
}

// wait returns false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
