// Command chaos runs a mixed load on two servers that share a PostgreSQL, kills
// and freezes them at random, meddles as operators do, and at the end asks
// tasker-server check whether every invariant has held.
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
	tasks    int
	duration time.Duration // over which tasks are created and servers killed
	servers  int
	pause    time.Duration // between kills, on average
	failing  int           // steps that fail at least once, in a hundred
	seed     uint64
	checker  string
	keep     bool
}

func main() {
	program.Reap() // does not return in the process that cleans up after this one
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		os.Exit(child(os.Args[2:]))
	}
	var o options
	flag.IntVar(&o.tasks, "tasks", 5000, "tasks to create: linear, diamond and fan-out in turn")
	flag.DurationVar(&o.duration, "duration", 10*time.Minute, "time over which servers are killed and tasks created")
	flag.IntVar(&o.servers, "servers", 2, "servers that share the database")
	flag.DurationVar(&o.pause, "pause", 3*time.Second, "time between two kills, on average")
	flag.IntVar(&o.failing, "failing", 20, "steps in a hundred that fail; one in four of these for good")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "what chance begins with; the moments themselves differ from run to run")
	flag.StringVar(&o.checker, "checker", "bin/tasker-server", "the program whose check looks at the database")
	flag.BoolVar(&o.keep, "keep", false, "leave data and logs where they are")
	flag.Parse()
	if flag.NArg() > 0 || o.tasks < 1 || o.servers < 1 || o.pause <= 0 || o.failing < 0 || o.failing > 100 {
		fmt.Fprintln(os.Stderr, "chaos: want no arguments, at least one task and server, and a share of failures of 0 to 100")
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	violations, err := run(ctx, o, os.Stdout)
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled):
		fmt.Fprintln(os.Stderr, "chaos: interrupted; everything is cleaned up")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	case violations:
		os.Exit(1)
	}
}
