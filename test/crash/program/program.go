// Package program runs server programs as a supervisor would, from outside:
// starts them, learns from their logs where they serve, signals them, and sees
// them end. It knows nothing of how they work.
package program

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// Ready is the message with which a server logs that it serves. It must log as
// JSON, on standard error, with its addresses as http and grpc.
const Ready = "tasker is ready"

// Spec says what to run.
type Spec struct {
	Path string
	Args []string
	Dir  string
	Env  []string  // beside the environment of this process, as Clean leaves it
	Log  io.Writer // gets what the program writes; nil for nowhere
	// Watch is told of each process, so that it ends even when we are killed.
	Watch *Reaper
}

// Process is a program that was started.
type Process struct {
	PID        int
	HTTP, GRPC string // host:port, once it is ready
	Exited     <-chan struct{}

	cmd   *exec.Cmd
	stdin io.Closer
	ready chan struct{}

	mu   sync.Mutex
	last []string // lines, for errors
	err  error    // how it ended
}

// Clean is the environment of this process without what would configure a
// server.
func Clean() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TASKER_") && !strings.HasPrefix(e, "DATABASE_URL=") {
			env = append(env, e)
		}
	}
	return env
}

// Launch starts a program and returns at once. It runs in a process group of
// its own, with a pipe for its input that ends when we do.
func Launch(s Spec) (*Process, error) {
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Dir, cmd.Env = s.Dir, append(Clean(), s.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	exited := make(chan struct{})
	p := &Process{PID: cmd.Process.Pid, Exited: exited, cmd: cmd, stdin: stdin, ready: make(chan struct{})}
	s.Watch.Process(p.PID)
	_ = in.Close() // the child has its own
	go func() {
		defer close(exited)
		p.read(out, s.Log)
		err := cmd.Wait()
		s.Watch.Ended(p.PID)
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
	}()
	return p, nil
}

// Start is Launch, and waits until the program serves. One that ends before, or
// is not ready when ctx ends, is an error; it does not run then.
func Start(ctx context.Context, s Spec) (*Process, error) {
	p, err := Launch(s)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.ready:
		return p, nil
	case <-p.Exited:
		return nil, fmt.Errorf("%s ended before it was ready (%s):\n%s", s.Path, p.cmd.ProcessState, p.Tail())
	case <-ctx.Done():
		p.Signal(syscall.SIGKILL)
		<-p.Exited
		return nil, fmt.Errorf("%s was not ready: %w\n%s", s.Path, context.Cause(ctx), p.Tail())
	}
}

// kept is how many lines Tail returns.
const kept = 30

func (p *Process) read(out *os.File, log io.Writer) {
	defer out.Close() //nolint:errcheck // nothing was written
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.line(lines.Bytes())
		if log != nil {
			_, _ = log.Write(append(lines.Bytes(), '\n'))
		}
	}
	// The program must never wait for us, whatever it says.
	_, _ = io.Copy(io.Discard, out)
}

func (p *Process) line(text []byte) {
	var said struct{ Msg, HTTP, GRPC string }
	isReady := json.Unmarshal(text, &said) == nil && said.Msg == Ready
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = append(p.last, string(text))
	if len(p.last) > kept {
		p.last = p.last[1:]
	}
	if isReady && p.HTTP == "" && p.GRPC == "" {
		p.HTTP, p.GRPC = said.HTTP, said.GRPC
		close(p.ready)
	}
}

// Tail returns the last lines that the program wrote.
func (p *Process) Tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.last, "\n")
}

// Signal sends a signal, unless the program has ended.
func (p *Process) Signal(sig syscall.Signal) {
	select {
	case <-p.Exited: // the number may be somebody else's by now
	default:
		_ = p.cmd.Process.Signal(sig) // gone in this moment, then Exited says so
	}
}

// Wait waits for the program's end and returns its exit code, -1 for a signal.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.Exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("process %d has not ended: %w", p.PID, context.Cause(ctx))
	}
}

// Close ends the program's input, which children take as the end of their
// supervisor.
func (p *Process) Close() { _ = p.stdin.Close() }
