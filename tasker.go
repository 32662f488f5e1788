// Package tasker runs the whole engine inside a Go program, with the program's
// own templates and handlers:
//
//	err := tasker.Run(ctx, tasker.Options{
//		Templates: os.DirFS("templates"),
//		Handlers:  worker.Handlers{"orders.ship": worker.Func(ship)},
//	})
//
// It serves REST and gRPC like the plain server, which is this package without
// handlers.
package tasker

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/tasker-go/tasker/bootstrap"
	"github.com/tasker-go/tasker/bootstrap/configuration"
	"github.com/tasker-go/tasker/worker"
)

// Options is what a program adds to the server. The zero Options is the plain
// server.
type Options struct {
	// Templates are YAML files, found at any depth. They are registered at start.
	Templates fs.FS
	// Handlers run in this process, for every namespace that Templates and the
	// configured folder of templates mention.
	Handlers worker.Handlers
	// Slots is how many handlers run at once; 0 means 100.
	Slots int
	// Args are command line flags, without the program's name; see Usage. They
	// win over environment variables, which win over files. Main adds those of
	// the command line.
	Args []string
	// Ready is called in a goroutine of its own once the server serves. Its
	// context ends when the server begins to stop.
	Ready func(ctx context.Context, s Server)
}

// Server says where a running server is to be found.
type Server struct {
	HTTPAddr    string // host:port; empty when the door is not enabled
	GRPCAddr    string
	DatabaseURL string
}

// Run runs the server until ctx ends or a part of it fails; then it lets
// running steps finish, within the configured limit, and stops everything that
// it started. It returns nil after an orderly stop, and flag.ErrHelp when Args
// ask for help.
func Run(ctx context.Context, o Options) error {
	src := sources()
	if err := parse(&src, o.Args); err != nil {
		return err
	}
	cfg, warnings, err := configuration.Load(src)
	if err != nil {
		return err
	}
	return bootstrap.Run(ctx, bootstrap.Options{
		Config: cfg, Warnings: warnings, Templates: o.Templates, Handlers: o.Handlers, Slots: o.Slots, Version: Version(),
		Ready: func(ctx context.Context, s bootstrap.Server) {
			if o.Ready != nil {
				o.Ready(ctx, Server{HTTPAddr: s.HTTPAddr, GRPCAddr: s.GRPCAddr, DatabaseURL: s.DatabaseURL})
			}
		},
	})
}

// Main is Run for a program's main: flags from the command line, an orderly stop
// on the first interrupt or termination signal, an immediate one on the second.
// It returns the exit code. With "check" as the first argument it looks through
// the database instead, and with "keys" it manages API keys; see
// docs/operations.md and docs/security-keys.md.
func Main(o Options) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	go func() {
		<-ctx.Done()
		cancel() // the next signal has its usual effect
	}()
	if len(os.Args) > 1 && os.Args[1] == checkCommand {
		return check(ctx, append(slices.Clone(o.Args), os.Args[2:]...), os.Stdout, os.Stderr)
	}
	if len(os.Args) > 1 && os.Args[1] == keysCommand {
		return keys(ctx, append(slices.Clone(o.Args), os.Args[2:]...), os.Stdout, os.Stderr)
	}
	o.Args = append(slices.Clone(o.Args), os.Args[1:]...)
	err := Run(ctx, o)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 0
	default:
		fmt.Fprintf(os.Stderr, "%s: %v\n", program(), err)
		return 1
	}
}

// Version returns the version of this module in the running program.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	const module = "github.com/tasker-go/tasker"
	const unversioned = "(devel)"
	if info.Main.Path == module && info.Main.Version != "" && info.Main.Version != unversioned {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return strings.TrimPrefix(dep.Version, "v")
		}
	}
	return "development"
}

func parse(src *configuration.Sources, args []string) error {
	set := flag.NewFlagSet(program(), flag.ContinueOnError)
	set.SetOutput(io.Discard)
	version := set.Bool("version", false, "")
	define(set, src)
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		Usage(os.Stdout)
		return err
	case err != nil:
		return fmt.Errorf("%w (see --help)", err)
	case set.NArg() > 0:
		return fmt.Errorf("unexpected argument %q (see --help)", set.Arg(0))
	case *version:
		fmt.Println(Version())
		return flag.ErrHelp
	default:
		return nil
	}
}

// define makes the flags of the server.
func define(set *flag.FlagSet, src *configuration.Sources) {
	for _, f := range configuration.Flags() {
		set.Func(f.Name, f.Usage, func(v string) error {
			f.Apply(src, v)
			return nil
		})
	}
}

func printFlag(w io.Writer, f configuration.Flag) {
	fmt.Fprintf(w, "  --%s %s\n        %s", f.Name, f.Value, f.Usage)
	if d := f.Default(); d != "" {
		fmt.Fprintf(w, " (default %s)", d)
	}
	fmt.Fprintln(w)
}

// Usage writes the help text of the command line.
func Usage(w io.Writer) {
	fmt.Fprintf(w, `%s coordinates workflows: DAGs of steps whose only infrastructure is PostgreSQL.
It serves REST on port 8080 and gRPC on port 9190, and brings its own PostgreSQL
unless it is given one.

Usage: %s [flags]
       %s check [flags]   looks through the database for what cannot be
       %s keys …          manages API keys

Flags:
`, program(), program(), program(), program())
	for _, f := range configuration.Flags() {
		printFlag(w, f)
	}
	fmt.Fprint(w, `  --version
        print the version and exit
  --help
        print this text and exit

Flags win over environment variables, which win over the files in the
configuration folder. docs/configuration.md lists every key and variable.
`)
}

func program() string {
	name := os.Args[0]
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	return name
}
