package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/tasker-go/tasker"
	"github.com/tasker-go/tasker/worker"
)

//go:embed templates
var templates embed.FS

// childArgument starts this program as a server; flags of the server follow.
const childArgument = "-child"

// slots are few, so that there is always work left to kill.
const slots = 20

// child is a server's life: it ends with its input, whose writer is the harness.
func child(args []string) int {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}()
	os.Args = append(os.Args[:1], args...) // tasker.Main reads the flags there
	return tasker.Main(tasker.Options{
		Templates: templates, Slots: slots,
		Args:     []string{"--web-port", "0", "--grpc-port", "0", "--log-format", "json"},
		Handlers: worker.Handlers{"chaos.work": worker.Typed(work)},
	})
}

// input is the context of a task.
type input struct {
	N       int    `json:"n"`
	Seed    uint64 `json:"seed"`
	Failing int    `json:"failing"` // steps in a hundred
	Longest int    `json:"longest_ms"`
}

type output struct {
	Step    string `json:"step"`
	Attempt int    `json:"attempt"`
}

// work takes a while, and fails as its dice say: the same step always alike.
func work(ctx context.Context, in input, s *worker.Step) (output, error) {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d/%d/%s", in.Seed, in.N, s.Name)
	dice := h.Sum64()
	pause := time.NewTimer(time.Duration(dice%uint64(in.Longest+1)) * time.Millisecond)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return output{}, context.Cause(ctx)
	}
	if fate := int((dice >> 16) % 100); fate < in.Failing {
		switch (dice >> 32) % 8 {
		case 0:
			return output{}, worker.Permanent(errors.New("this step never succeeds"))
		case 1:
			return output{}, errors.New("this step fails in every attempt")
		case 2:
			panic("this step panics")
		default:
			if s.Attempt < 2 {
				return output{}, worker.RetryAfter(errors.New("this step fails once"), 150*time.Millisecond)
			}
		}
	}
	return output{Step: s.Name, Attempt: s.Attempt}, nil
}
