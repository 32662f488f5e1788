package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
	"time"
)

// loadCommand is the argument that makes this program a load process: it does
// what its standard input asks for, one JSON object after the other. What is
// not the server runs there, so that the server's CPU time and memory are its
// own.
const loadCommand = "load"

// order asks a load process for one measurement.
type order struct {
	Do    string  `json:"do"`
	Addr  string  `json:"addr,omitempty"` // of the gRPC door
	URL   string  `json:"url,omitempty"`  // of a database
	Shape string  `json:"shape,omitempty"`
	N     int     `json:"n,omitempty"`
	Limit float64 `json:"limit,omitempty"` // seconds
}

// What a load process does.
const (
	doOneAtATime   = "one at a time"
	doBulk         = "bulk"
	doCommits      = "commits"
	doRiverBulk    = "river bulk"
	doRiverLatency = "river latency"
)

// answer is what a load process found.
type answer struct {
	Took  []time.Duration `json:"took,omitempty"`
	Bulk  bulkRun         `json:"bulk"`
	Rate  float64         `json:"rate,omitempty"` // per second
	Error string          `json:"error,omitempty"`
}

// loadProcess is a running load process. It does one thing at a time.
type loadProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// startLoad starts a load process. It ends when it is closed, or when this
// process is gone.
func startLoad(ctx context.Context) (*loadProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, loadCommand) //nolint:gosec // G204: this program
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // no Ctrl-C from the terminal
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process for the load: %w", err)
	}
	return &loadProcess{cmd: cmd, in: in, out: json.NewDecoder(out)}, nil
}

func (p *loadProcess) ask(o order) (answer, error) {
	var a answer
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return a, fmt.Errorf("%s: the load process is gone: %w", o.Do, err)
	}
	if err := p.out.Decode(&a); err != nil {
		return a, fmt.Errorf("%s: the load process is gone: %w", o.Do, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %s", o.Do, a.Error)
	}
	return a, nil
}

func (p *loadProcess) close() {
	_ = p.in.Close()
	_ = p.cmd.Wait() // killed when the bench was interrupted
}

// loadMain is the life of a load process.
func loadMain(ctx context.Context, in io.Reader, out io.Writer) error {
	debug.SetGCPercent(400) // as in the server, or River would be measured with less
	var d doer
	defer d.close()
	orders := json.NewDecoder(in)
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		a, err := d.do(ctx, o)
		if err != nil {
			a.Error = err.Error()
		}
		if err := json.NewEncoder(out).Encode(a); err != nil {
			return err
		}
	}
}

// doer keeps its connections between orders.
type doer struct {
	addr  string
	grpc  *grpcTarget
	river *riverClient
}

func (d *doer) do(ctx context.Context, o order) (a answer, err error) {
	switch o.Do {
	case doOneAtATime:
		t, err := d.target(o.Addr)
		if err != nil {
			return a, err
		}
		a.Took, err = oneAtATime(ctx, t, o.Shape, o.N)
		return a, err
	case doBulk:
		t, err := d.target(o.Addr)
		if err != nil {
			return a, err
		}
		cpu := processCPU()
		a.Bulk, err = inBulk(ctx, t, o.Shape, o.N)
		a.Bulk.CPU = processCPU() - cpu
		return a, err
	case doCommits:
		a.Rate, err = commitRate(ctx, o.URL, o.N, time.Duration(o.Limit*float64(time.Second)))
		return a, err
	case doRiverBulk, doRiverLatency:
		if d.river == nil {
			if d.river, err = openRiver(ctx, o.URL); err != nil {
				return a, err
			}
		}
		if o.Do == doRiverBulk {
			a.Rate, err = d.river.rate(ctx, o.N)
		} else {
			a.Took, err = d.river.latency(ctx, o.N)
		}
		return a, err
	default:
		return a, fmt.Errorf("unknown order %q", o.Do)
	}
}

func (d *doer) target(addr string) (*grpcTarget, error) {
	if d.grpc != nil && d.addr == addr {
		return d.grpc, nil
	}
	if d.grpc != nil {
		_ = d.grpc.close()
	}
	t, err := dial(addr)
	d.grpc, d.addr = t, addr
	return t, err
}

func (d *doer) close() {
	if d.grpc != nil {
		_ = d.grpc.close()
	}
	if d.river != nil {
		d.river.close()
	}
}

// remoteTarget measures a server over gRPC from a load process.
type remoteTarget struct {
	load *loadProcess
	addr string
}

func (r remoteTarget) oneAtATime(_ context.Context, template string, n int) ([]time.Duration, error) {
	a, err := r.load.ask(order{Do: doOneAtATime, Addr: r.addr, Shape: template, N: n})
	return a.Took, err
}

func (r remoteTarget) inBulk(_ context.Context, template string, n int) (bulkRun, error) {
	a, err := r.load.ask(order{Do: doBulk, Addr: r.addr, Shape: template, N: n})
	return a.Bulk, err
}

// localTarget measures a server in this process.
type localTarget struct{ target }

func (l localTarget) oneAtATime(ctx context.Context, template string, n int) ([]time.Duration, error) {
	return oneAtATime(ctx, l.target, template, n)
}

func (l localTarget) inBulk(ctx context.Context, template string, n int) (bulkRun, error) {
	return inBulk(ctx, l.target, template, n)
}

// measurable is a server that can be measured.
type measurable interface {
	oneAtATime(ctx context.Context, template string, n int) ([]time.Duration, error)
	inBulk(ctx context.Context, template string, n int) (bulkRun, error)
}
