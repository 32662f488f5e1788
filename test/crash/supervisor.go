package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/tasker-go/tasker/test/crash/program"
)

// readyLimit is how long a server may take to serve, recovery of its PostgreSQL
// included.
const readyLimit = time.Minute

// stopLimit is how long an orderly stop may take.
const stopLimit = 45 * time.Second

// supervisor keeps a server running: it starts it again whenever it has ended,
// and does nothing else for it.
type supervisor struct {
	spec program.Spec
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	now     *program.Process // the last that was ready
	changed chan struct{}    // closed when now is another
	doomed  *program.Process // was killed on purpose
	failed  error            // why it gave up; to be read after done
}

// supervise starts a server with a folder for everything that it writes.
func supervise(ctx context.Context, dir string, logs io.Writer, reaper *program.Reaper) (*supervisor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	s := &supervisor{
		spec: program.Spec{
			Path: self, Dir: dir, Log: logs, Watch: reaper,
			Args: []string{childArgument, runsIn(dir), "--data-dir", dataIn(dir)},
		},
		stop: stop, done: make(chan struct{}), changed: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		s.failed = s.keep(ctx)
	}()
	return s, nil
}

func (s *supervisor) keep(ctx context.Context) error {
	for {
		start, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("it did not serve within %s", readyLimit))
		p, err := program.Start(start, s.spec)
		cancel()
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.now = p
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-p.Exited:
		}
		s.mu.Lock()
		onPurpose := s.doomed == p
		s.mu.Unlock()
		if !onPurpose {
			return fmt.Errorf("the server ended by itself:\n%s", p.Tail())
		}
	}
}

// serving returns the server that serves, and waits until one does.
func (s *supervisor) serving(ctx context.Context) (*program.Process, error) {
	for {
		s.mu.Lock()
		p, changed := s.now, s.changed
		s.mu.Unlock()
		if p != nil {
			select {
			case <-p.Exited:
			default:
				return p, nil
			}
		}
		select {
		case <-changed:
		case <-s.done:
			return nil, errors.Join(errors.New("no server runs any more"), s.failed)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// kill kills a server without warning.
func (s *supervisor) kill(p *program.Process) {
	s.mu.Lock()
	s.doomed = p
	s.mu.Unlock()
	p.Signal(syscall.SIGKILL)
	<-p.Exited
}

// end stops the server in order, and returns an error if it does not do so.
func (s *supervisor) end() error {
	s.stop()
	<-s.done
	if s.now == nil || s.failed != nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), stopLimit, fmt.Errorf("an orderly stop took longer than %s", stopLimit))
	defer cancel()
	s.now.Close()
	code, err := s.now.Wait(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("the server ended with code %d, want 0, after an orderly stop:\n%s", code, s.now.Tail())
	}
	return err
}
