// Command testpg runs a command with a temporary PostgreSQL for its tests:
//
//	go run ./cmd/testpg -- go test ./...
//
// The command finds it in TASKER_TEST_DATABASE_URL, gets the signals that testpg
// gets, and gives testpg its exit code. The data are removed at the end. Where
// the variable is set already, that PostgreSQL is used.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
)

const usage = "usage: testpg -- command [argument …]"

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	code, err := run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testpg:", err)
	}
	os.Exit(code)
}

// run returns the exit code of the command, or 1 with the reason.
func run(args []string) (code int, err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)

	if os.Getenv(pgtest.EnvURL) == "" {
		logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
		cluster, err := startCluster(signals, logger)
		if err != nil {
			return 1, err
		}
		defer func() {
			if closeErr := cluster.Close(); closeErr != nil {
				code, err = max(code, 1), errors.Join(err, closeErr)
			}
		}()
		if err := os.Setenv(pgtest.EnvURL, cluster.URL()); err != nil {
			return 1, err
		}
	}
	return command(args, signals)
}

// startCluster gives up at the first signal.
func startCluster(signals <-chan os.Signal, logger *slog.Logger) (*pgtest.Cluster, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	started := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case sig := <-signals:
			cancel(fmt.Errorf("stopped by a signal: %s", sig))
		case <-started:
		}
	}()
	cluster, err := pgtest.StartCluster(ctx, logger)
	close(started)
	<-watched
	if err == nil && ctx.Err() != nil { // the signal came at the last moment
		err = errors.Join(context.Cause(ctx), cluster.Close())
	}
	return cluster, err
}

// command runs args and passes the signals on to it and its children.
func command(args []string, signals <-chan os.Signal) (int, error) {
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // what the caller asked for
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// A group of its own: a Ctrl-C reaches it through us alone, and only once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	ended := make(chan struct{})
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		for {
			select {
			case sig := <-signals:
				if s, ok := sig.(syscall.Signal); ok {
					_ = syscall.Kill(-cmd.Process.Pid, s) // it may have just ended
				}
			case <-ended:
				return
			}
		}
	}()
	err := cmd.Wait()
	close(ended)
	<-passed
	exit, isExit := errors.AsType[*exec.ExitError](err)
	if !isExit {
		return 0, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
