package scenario_test

import (
	"context"
	"io/fs"
	"testing"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// world is a server with its database, in memory or real. One scenario after the
// other runs in it.
type world interface {
	// URL is where the REST API is.
	URL() string
	// Advance moves the clock of the database and wakes what is due by then.
	Advance(ctx context.Context, d time.Duration) error
	// Offset is how far the clock has been moved.
	Offset() time.Duration
	// Sweep searches for what stands still.
	Sweep(ctx context.Context) error
	// Carry sees to it that a bulk resume goes on, until done finds it complete.
	Carry(ctx context.Context, resume string, done func() error) error
	// StartServer adds a server that has the handler elsewhere.
	StartServer(t *testing.T)
	// KillServer cuts its connections: it has no time to say anything.
	KillServer(t *testing.T)
	// RenewServer has its lease last so long from now; less than nothing is what a
	// server has that is frozen.
	RenewServer(ctx context.Context, lease time.Duration) error
	// TaskMoves returns the history of a task.
	TaskMoves(ctx context.Context, id ident.TaskID) ([]taskMove, error)
	// StepMoves returns the history of a step.
	StepMoves(ctx context.Context, ref ident.StepRef) ([]ports.StepMove, error)
}

type taskMove struct {
	From, To task.State
	Path     []task.State
	By, Why  string
}

// The handlers that templates call.
const (
	handlerHere      = "script"    // the server of a world has it
	handlerElsewhere = "elsewhere" // a server has it that comes and goes
)

// opener makes a world that knows the templates and plays on the stages.
type opener func(t *testing.T, templates fs.FS, on *stages) world

// spaced joins states as histories are written.
func spaced[S task.State | step.State](states []S, name func(S) string) string {
	out := ""
	for _, s := range states {
		out += " " + name(s)
	}
	return out
}
