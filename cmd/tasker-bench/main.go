// Command tasker-bench measures how fast the server is and what it costs, and
// how that compares with what the machine can do at all. It prints tables and
// writes bench.json; docs/benchmarks.md says how to read them.
//
// The server runs in this process. What is not the server, the gRPC clients and
// River on its own, runs in a second process of the same program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	// A reader of the output that goes away, as head does, must not leave a
	// PostgreSQL behind either.
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer cancel()
	go func() {
		<-ctx.Done()
		cancel() // the next signal has its usual effect
	}()
	var err error
	if len(os.Args) == 2 && os.Args[1] == loadCommand {
		err = loadMain(ctx, os.Stdin, os.Stdout)
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "tasker-bench: interrupted; nothing was written")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "tasker-bench:", err)
		os.Exit(1)
	}
}

// command is what the command line asks for.
type command struct {
	options
	json     string
	markdown bool
	seeded   int // finished tasks to compare with; 0 for no such comparison
	unserved int // steps that nobody serves; 0 for no such comparison
	lists    int // tasks to ask lists of; 0 for none
}

func parse(args []string, messages io.Writer) (command, error) {
	var (
		c             command
		shapes, modes string
		quick         bool
	)
	set := flag.NewFlagSet("tasker-bench", flag.ContinueOnError)
	set.SetOutput(messages)
	set.BoolVar(&quick, "quick", false, "a look in about a minute: one round of a quarter of the load, and a short idle time")
	set.StringVar(&shapes, "shapes", "", "only these, with commas between: single, linear4, diamond4, dag7, tree8, fanout1000")
	set.StringVar(&modes, "modes", "", "only these, with commas between: inprocess, grpc")
	set.IntVar(&c.rounds, "rounds", 0, "how often everything is measured, in turns (default 5)")
	set.IntVar(&c.seeded, "seed-finished", 0, "instead: compare an empty database with one of so many finished tasks")
	set.IntVar(&c.unserved, "unserved", 0, "instead: compare an empty queue with one of so many waiting steps that nobody serves")
	set.IntVar(&c.lists, "lists", 0, "instead: ask for lists of so many tasks, by every filter and order")
	set.StringVar(&c.databaseURL, "database-url", os.Getenv("DATABASE_URL"),
		"PostgreSQL to measure on, as a superuser; databases named tasker_bench… are made and dropped in it (default $DATABASE_URL, or else an embedded one)")
	set.StringVar(&c.dataDir, "data-dir", "", "folder of the embedded PostgreSQL (default a temporary one)")
	set.StringVar(&c.json, "json", "bench.json", "file for the figures; empty for none")
	set.BoolVar(&c.markdown, "markdown", false, "print the tables as Markdown")
	set.BoolVar(&c.statements, "statements", false, "say also how often each statement was sent")
	set.StringVar(&c.profiles, "cpuprofile", "", "beginning of the names of files for CPU profiles, one for each bulk run; go tool pprof adds them up")
	if err := set.Parse(args); err != nil {
		return c, err
	}
	if set.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q (see -help)", set.Arg(0))
	}
	c.scale, c.idleFor = 1, time.Minute
	rounds := 5
	if quick {
		c.scale, c.idleFor, rounds = 0.25, 10*time.Second, 1
	}
	switch {
	case c.rounds < 0 || c.seeded < 0 || c.unserved < 0 || c.lists < 0:
		return c, errors.New("-rounds, -seed-finished, -unserved and -lists count things: they cannot be negative")
	case c.rounds == 0:
		c.rounds = rounds
	}
	return c, c.choose(shapes, modes)
}

func (c *command) choose(names, modes string) error {
	c.shapes, c.modes = shapes, []string{inProcess, overGRPC}
	if names != "" {
		c.shapes = nil
		for _, name := range strings.Split(names, ",") {
			s, err := findShape(strings.TrimSpace(name))
			if err != nil {
				return err
			}
			c.shapes = append(c.shapes, s)
		}
	}
	if modes != "" {
		c.modes = nil
		for _, mode := range strings.Split(modes, ",") {
			mode = strings.TrimSpace(mode)
			if !slices.Contains([]string{inProcess, overGRPC}, mode) {
				return fmt.Errorf("there is no mode %q, only %s and %s", mode, inProcess, overGRPC)
			}
			c.modes = append(c.modes, mode)
		}
	}
	return nil
}

func run(ctx context.Context, args []string, out, messages io.Writer) (err error) {
	c, err := parse(args, messages)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, c.options, messages)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	show := printText
	if c.markdown {
		show = printMarkdown
	}
	if c.seeded > 0 || c.unserved > 0 || c.lists > 0 {
		began := time.Now()
		m := b.describe(began)
		ts, err := b.comparisons(ctx, c.seeded, c.unserved)
		if err != nil {
			return err
		}
		if c.lists > 0 {
			more, err := b.measureLists(ctx, c.lists)
			if err != nil {
				return err
			}
			ts = append(ts, more...)
		}
		m.Took = time.Since(began).Seconds()
		return show(out, m, ts)
	}
	r, err := b.all(ctx)
	if err != nil {
		return err
	}
	if err := show(out, r.Machine, r.tables()); err != nil {
		return err
	}
	if c.json == "" {
		return nil
	}
	if err := r.write(c.json); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nwritten to %s\n", c.json)
	return nil
}
