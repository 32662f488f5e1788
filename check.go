package tasker

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/tasker-go/tasker/bootstrap"
	"github.com/tasker-go/tasker/bootstrap/configuration"
)

// checkCommand is the first argument that makes Main check a database instead
// of serving.
const checkCommand = "check"

// Exit codes of check.
const (
	checkSound  = 0
	checkBroken = 1
	checkFailed = 2 // it could not look
)

// checkFlags are those of the server's flags that matter here: they say which
// database.
var checkFlags = []string{"database-url", "data-dir", "config-dir", "environment"}

const (
	graceDefault = 30 * time.Second
	graceUsage   = "what is due for longer than this is overdue"
	quietUsage   = "print only the sum, no line for each violation"
)

// check looks through a database for what cannot be, and returns the exit code.
func check(ctx context.Context, args []string, out, errs io.Writer) int {
	var (
		src = sources()
		o   = bootstrap.CheckOptions{Out: out}
	)
	set := flag.NewFlagSet(program()+" "+checkCommand, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	define(set, &src) // all of them: a program may bring some that mean nothing here
	set.DurationVar(&o.Grace, "grace", graceDefault, graceUsage)
	set.BoolVar(&o.Quiet, "quiet", false, quietUsage)
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		checkUsage(out)
		return checkSound
	case err != nil:
		err = fmt.Errorf("%w (see %s --help)", err, checkCommand)
	case set.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q (see %s --help)", set.Arg(0), checkCommand)
	case o.Grace <= 0:
		err = errors.New("--grace must be more than nothing, such as 30s")
	}
	if err == nil {
		o.Config, _, err = configuration.Load(src)
	}
	violations := 0
	if err == nil {
		if _, given := src.Overrides["common.telemetry.log_level"]; !given {
			o.Config.Common.Telemetry.LogLevel = "warn" // the output is the answer
		}
		violations, err = bootstrap.Check(ctx, o)
	}
	switch {
	case err != nil:
		fmt.Fprintf(errs, "%s %s: %v\n", program(), checkCommand, err)
		return checkFailed
	case violations > 0:
		return checkBroken
	default:
		return checkSound
	}
}

func checkUsage(w io.Writer) {
	fmt.Fprintf(w, `Looks through a whole database for what cannot be: lost jobs, histories with gaps,
counters that are off, leases of nobody, what is overdue. It only reads, and
servers may run meanwhile. An embedded PostgreSQL that does not run is started
for as long as it takes.

Usage: %s %s [flags]

It prints a line for each violation, and the sum. Exit codes: 0 nothing is wrong,
1 something is, 2 it could not look.

Flags:
`, program(), checkCommand)
	for _, f := range configuration.Flags() {
		if slices.Contains(checkFlags, f.Name) {
			printFlag(w, f)
		}
	}
	fmt.Fprintf(w, `  --grace DURATION
        %s (default %s)
  --quiet
        %s
  --help
        print this text and exit
`, graceUsage, graceDefault, quietUsage)
}

func sources() configuration.Sources {
	return configuration.Sources{
		Environment: os.Getenv("TASKER_ENV"), File: os.Getenv("TASKER_CONFIG_PATH"), Environ: os.Environ(),
	}
}
