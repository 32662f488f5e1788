// Command crash kills a server and its PostgreSQL at random, in the middle of
// running steps, while clients create tasks, and then checks that nothing was
// lost and nothing was done twice.
//
// Nobody helps: the harness only starts the server again when it has ended, as
// any supervisor would, and PostgreSQL is the server's own affair.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tasker-go/tasker/test/crash/program"
)

// options are the flags.
type options struct {
	tasks         int
	kills         int // of the server
	postgresKills int
	seed          uint64
	timeout       time.Duration
	keep          bool
}

// leastTasks is how many a kill needs to find steps that run.
const leastTasks = 10

func main() {
	hidden()
	var o options
	flag.IntVar(&o.tasks, "tasks", 2000, "diamond tasks to create")
	flag.IntVar(&o.kills, "kills", 20, "times to kill the server")
	flag.IntVar(&o.postgresKills, "postgres-kills", 5, "times to kill its PostgreSQL, or a part of it")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "what chance begins with; the moments themselves differ from run to run")
	flag.DurationVar(&o.timeout, "timeout", 5*time.Minute, "for the whole run")
	flag.BoolVar(&o.keep, "keep", false, "leave data, logs and the handlers' log where they are")
	flag.Parse()
	if flag.NArg() > 0 || o.kills < 0 || o.postgresKills < 0 || o.tasks < leastTasks*(o.kills+o.postgresKills+1) {
		fmt.Fprintf(os.Stderr, "crash: want no arguments, no negative kills, and -tasks of at least %d for each kill\n", leastTasks)
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	ctx, end := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("the run took longer than %s", o.timeout))
	defer end()
	dir, err := folder()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
	report, err := run(ctx, o, dir, os.Stdout)
	if report != nil && report.checked != nil {
		report.print(os.Stdout)
	}
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled):
		fmt.Fprintln(os.Stderr, "crash: interrupted; everything is cleaned up")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	case len(report.violations) > 0:
		os.Exit(1)
	}
}

// hidden does not return when this process is one of those that the harness
// starts of itself.
func hidden() {
	program.Reap()
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		os.Exit(child(os.Args[2:]))
	}
}
