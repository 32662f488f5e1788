package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/test/crash/checker"
	"github.com/tasker-go/tasker/test/crash/program"
	"github.com/tasker-go/tasker/test/crash/runlog"
)

func dataIn(dir string) string { return filepath.Join(dir, "postgres") }
func runsIn(dir string) string { return filepath.Join(dir, "runs.log") }
func logsIn(dir string) string { return filepath.Join(dir, "server.log") }

const (
	poll = time.Millisecond
	// How long it may take until work goes on after a kill, and until some step
	// runs.
	recoveryLimit = 45 * time.Second
	maxAttempts   = 3 // of the template
	longestPause  = 200 * time.Millisecond
	kept          = 4 // tasks for each kill to come
)

// storm is one run: a server, its clients, and the kills.
type storm struct {
	o       options
	dir     string
	out     io.Writer
	rng     *rand.Rand
	server  *supervisor
	clients *clients
	runs    *runlog.Reader
	lines   []runlog.Line
	spans   map[string]*span // of runs, by their names
	last    time.Time        // when the last run began
	given   int
	report  *report
}

// folder makes a place for everything that a run writes.
func folder() (string, error) {
	dir, err := os.MkdirTemp("", "tasker-crash-")
	if err != nil {
		return "", err
	}
	// PostgreSQL's user, where that is not ours, has to pass.
	return dir, os.Chmod(dir, 0o711)
}

// run does everything in a folder, and cleans up whatever happens.
func run(ctx context.Context, o options, dir string, out io.Writer) (_ *report, err error) {
	reaper, err := program.StartReaper()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	defer func() { err = errors.Join(err, reaper.Close()) }()
	reaper.Postgres(dataIn(dir))
	if o.keep {
		fmt.Fprintln(out, "everything stays in", dir)
	} else {
		reaper.Remove(dir)
	}
	logs, err := os.Create(logsIn(dir))
	if err != nil {
		return nil, err
	}
	defer logs.Close() //nolint:errcheck // the server's own words, for people
	fmt.Fprintf(out, "seed %d: %d tasks, %d kills of the server, %d of its PostgreSQL\n", o.seed, o.tasks, o.kills, o.postgresKills)

	server, err := supervise(ctx, dir, logs, reaper)
	if err != nil {
		return nil, err
	}
	s := &storm{
		o: o, dir: dir, out: out, rng: rand.New(rand.NewPCG(o.seed, 1)), server: server,
		runs: runlog.NewReader(runsIn(dir)), spans: map[string]*span{}, report: &report{began: time.Now()},
	}
	s.clients = newClients(ctx, server, o)
	err = s.rage(ctx)
	if err == nil {
		err = s.verify(ctx)
	}
	if endErr := server.end(); endErr != nil {
		s.report.violate("server", "%s", endErr)
	}
	if faults := faultsIn(logsIn(dir)); faults != "" {
		s.report.violate("server", "%s", faults)
	}
	if err != nil {
		err = fmt.Errorf("%w\nthe server's last words:\n%s", err, lastWords(server))
	}
	return s.report, err
}

func lastWords(s *supervisor) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return "none"
	}
	return s.now.Tail()
}

// rage kills, each time in the middle of running steps and after work has gone
// on since the last time, and returns when all tasks are acknowledged.
func (s *storm) rage(ctx context.Context) error {
	targets := s.targets()
	share := max(1, s.o.tasks/(len(targets)+1))
	counted := true // the last try
	for i := 0; i < len(targets); {
		// A part of each share is for after the kill, and something is kept for
		// all kills to come.
		left := len(targets) - i
		if counted {
			s.give(share-share/8, left*kept)
		}
		if err := s.pause(ctx); err != nil {
			return err
		}
		k, err := s.strike(ctx, targets[i], func() { s.give(1, left) })
		if err != nil {
			return fmt.Errorf("kill %d of %d (%s): %w", i+1, len(targets), targets[i], err)
		}
		if k.took, err = s.recovered(ctx, k, func() { s.give(max(1, share/8), left-1) }); err != nil {
			return fmt.Errorf("after kill %d of %d (%s): %w", i+1, len(targets), targets[i], err)
		}
		if counted = k.running > 0; !counted {
			continue // the last step ended in the very moment: it does not count
		}
		s.report.kills = append(s.report.kills, k)
		fmt.Fprintf(s.out, "%3d/%d killed: %-10s  %2d steps were running; work went on after %s\n",
			i+1, len(targets), k.target, k.running, k.took.Round(time.Millisecond))
		i++
	}
	s.give(s.o.tasks, 0)
	return s.clients.finish()
}

// serverDies is the target that is no part of PostgreSQL.
const serverDies program.Casualty = "server"

// targets says what is killed when: all kinds, shuffled. PostgreSQL comes last,
// while the server lives on: starting a server anew would mend what it forgot.
func (s *storm) targets() []program.Casualty {
	var all []program.Casualty
	for range s.o.kills {
		all = append(all, serverDies)
	}
	for i := range s.o.postgresKills {
		all = append(all, []program.Casualty{program.PostmasterDies, program.AllDie, program.BackendDies}[i%3])
	}
	ends := min(1, s.o.postgresKills)
	s.rng.Shuffle(len(all)-ends, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// give lets the clients create n more tasks, as far as there are any and so many
// are kept.
func (s *storm) give(n, keep int) {
	for ; n > 0 && s.given+keep < s.o.tasks; n-- {
		s.clients.turns <- s.given
		s.given++
	}
}

// pause lets chance choose the moment.
func (s *storm) pause(ctx context.Context) error {
	t := time.NewTimer(time.Duration(s.rng.Int64N(int64(longestPause))))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// kill is one of them.
type kill struct {
	target  program.Casualty
	at      time.Time
	running int // steps that were in mid-handler at that instant
	pid     int // of the postmaster, before
	took    time.Duration
}

// strike waits until a handler of the server runs, kills the target at once, and
// looks in the handlers' log which of them were running at that instant: they
// had begun before, and ended after or never. While nothing runs, ask gives the
// clients something to ask for.
func (s *storm) strike(ctx context.Context, target program.Casualty, ask func()) (kill, error) {
	p, err := s.server.serving(ctx)
	if err != nil {
		return kill{}, err
	}
	looks := 0
	err = s.until(ctx, "no step runs", func() bool {
		if looks++; looks%100 == 0 {
			ask()
		}
		return s.running(p.PID, time.Now(), time.Now()) > 0
	})
	if err != nil {
		return kill{}, err
	}
	k := kill{target: target, at: time.Now()}
	k.pid, _ = program.Postmaster(dataIn(s.dir))
	if target == serverDies {
		s.server.kill(p)
	} else if err := program.KillPostgres(ctx, dataIn(s.dir), target); err != nil {
		return k, err
	}
	dead := time.Now()
	if err := s.read(); err != nil {
		return k, err
	}
	k.running = s.running(p.PID, k.at, dead)
	return k, nil
}

// span is when a run began and ended; the end is zero while it has none.
type span struct {
	pid        int
	begin, end time.Time
}

// read takes in what handlers have written.
func (s *storm) read() error {
	fresh, err := s.runs.More()
	s.lines = append(s.lines, fresh...)
	for _, l := range fresh {
		if l.Kind == runlog.Begin {
			s.spans[l.Run] = &span{pid: l.PID, begin: l.At}
			s.last = l.At
		} else if known := s.spans[l.Run]; known != nil {
			known.end = l.At
		}
	}
	return err
}

// running counts the runs of a process that had begun at the one time and not
// ended at the other, as far as was read.
func (s *storm) running(pid int, from, until time.Time) int {
	n := 0
	for _, r := range s.spans {
		if r.pid == pid && !r.begin.After(from) && (r.end.IsZero() || r.end.After(until)) {
			n++
		}
	}
	return n
}

// recovered waits until a request that was sent after the kill is acknowledged
// and a step begins after that, and returns how long it took; ask gives the
// clients something to ask for. The backends of a dead postmaster may still
// answer: so another one must be there first.
func (s *storm) recovered(ctx context.Context, k kill, ask func()) (time.Duration, error) {
	since := k.at
	if k.target == program.PostmasterDies || k.target == program.AllDie {
		err := s.until(ctx, "no PostgreSQL is there", func() bool {
			pid, alive := program.Postmaster(dataIn(s.dir))
			return alive && pid != k.pid
		})
		if err != nil {
			return 0, err
		}
		since = time.Now()
	}
	ask()
	err := s.until(ctx, "no new task is accepted", func() bool { return s.clients.worksSince(since) })
	if err != nil {
		return 0, err
	}
	since = time.Now()
	err = s.until(ctx, "no step begins", func() bool { return s.last.After(since) })
	return s.last.Sub(k.at), err
}

// until waits for a fact, and reads the handlers' log before each look.
func (s *storm) until(ctx context.Context, otherwise string, fact func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recoveryLimit, fmt.Errorf("%s within %s", otherwise, recoveryLimit))
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if err := s.read(); err != nil {
			return err
		}
		if fact() {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.server.done:
			return errors.Join(errors.New("no server runs any more"), s.server.failed)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// verify waits until everything has ended, and has it checked.
func (s *storm) verify(ctx context.Context) error {
	fmt.Fprintf(s.out, "all %d tasks are acknowledged; waiting for their end\n", s.o.tasks)
	url, err := program.PostgresURL(dataIn(s.dir))
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	open := 0
	err = s.until(ctx, "not all tasks end", func() bool {
		err := conn.QueryRow(ctx, "select count(*) from tasker.tasks where state <> 'complete'").Scan(&open)
		return err != nil || open == 0
	})
	if err != nil {
		fmt.Fprintf(s.out, "%d tasks are open: %s\n", open, err) // the checker says what is wrong with them
	}
	if err := s.read(); err != nil {
		return err
	}
	s.report.storm(s)
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	s.report.checked, err = checker.Check(ctx, tx, checker.Evidence{
		Log: s.lines, Acknowledged: s.clients.ids, MaxAttempts: maxAttempts,
	})
	if err != nil {
		return err
	}
	for _, v := range s.report.checked.Violations {
		s.report.violate("checker", "%s", v)
	}
	return nil
}
