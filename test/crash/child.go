package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"github.com/tasker-go/tasker"
	"github.com/tasker-go/tasker/test/crash/runlog"
	"github.com/tasker-go/tasker/worker"
)

//go:embed templates
var templates embed.FS

// childArgument starts this program as the server that is to be killed. The
// path of the handlers' log follows, then flags of the server.
const childArgument = "-child"

// slots are few, so that there is always work left to kill.
const slots = 20

// child is the server's life: it ends with its input, whose writer is the
// supervisor.
func child(args []string) int {
	if len(args) < 1 {
		fmt.Fprintln(os.Stderr, "usage: crash -child LOG [flag …]")
		return 2
	}
	log, err := runlog.Open(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		return 1
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}()
	os.Args = append(os.Args[:1], args[1:]...) // tasker.Main reads the flags there
	return tasker.Main(tasker.Options{
		Templates: templates, Slots: slots,
		Args:     []string{"--web-port", "0", "--grpc-port", "0", "--log-format", "json"},
		Handlers: worker.Handlers{"crash.work": worker.Typed(work{log}.handle)},
	})
}

// input is the context of a task.
type input struct {
	N       int    `json:"n"`
	Seed    uint64 `json:"seed"`
	Longest int    `json:"longest_ms"` // of a step; it takes a random part of this
}

// result names the run that returned it.
type result struct {
	Run string `json:"run"`
}

var errOnce = errors.New("this step fails once")

type work struct{ log *runlog.Writer }

// handle writes what it does to a log that no server sees.
func (w work) handle(ctx context.Context, in input, s *worker.Step) (result, error) {
	line, err := w.log.Begin(runlog.Line{Task: s.Task.ID, Step: s.Name, Attempt: s.Attempt, Key: s.Key()})
	if err != nil {
		return result{}, worker.Permanent(err)
	}
	pause := time.NewTimer(rand.N(1 + time.Duration(in.Longest)*time.Millisecond))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return result{}, context.Cause(ctx)
	}
	if s.Attempt == 1 && in.failsOnce(s.Name) {
		if err := w.log.End(line, runlog.Failed); err != nil {
			return result{}, worker.Permanent(err)
		}
		return result{}, errOnce
	}
	if err := w.log.End(line, runlog.End); err != nil {
		return result{}, worker.Permanent(err)
	}
	return result{Run: line.Run}, nil
}

// failsOnce picks one step in ten, the same ones for the same seed.
func (in input) failsOnce(step string) bool {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%d/%s", in.Seed, in.N, step)
	return h.Sum64()%10 == 0
}
