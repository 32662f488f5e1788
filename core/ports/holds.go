package ports

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
)

// PauseKind is what a pause holds back.
type PauseKind string

// The kinds of pause.
const (
	PauseNamespace PauseKind = "namespace"
	PauseTemplate  PauseKind = "template" // a version: all its revisions
	PauseTask      PauseKind = "task"
)

// Pause holds back steps that wait: nobody claims them. What runs is let finish,
// and timers go on.
type Pause struct {
	Kind  PauseKind
	Name  task.Name    // the namespace alone, or a template's whole name
	Task  ident.TaskID // of a paused task
	By    string
	Why   string
	Since time.Time
}

// Pauses keeps what is paused. A pause takes effect with its commit: a claim
// that begins later does not take what it holds back.
type Pauses interface {
	// Pause stores a pause and returns it; one that is there already stays as it
	// is and is returned. Faults: task_not_found, task_finished.
	Pause(ctx context.Context, p Pause) (Pause, error)
	// Unpause ends a pause, and puts back into the queues what claims had set
	// aside for it. It reports whether there was one.
	Unpause(ctx context.Context, p Pause) (bool, error)
	// Paused returns all pauses that hold a task back: its own, its template's
	// and its namespace's.
	Paused(ctx context.Context, id ident.TaskID, name task.Name) ([]Pause, error)
	// EndPauses forgets the pauses of tasks that have ended for good, and returns
	// how many there were.
	EndPauses(ctx context.Context) (int, error)
	// ListPauses returns the newest pauses.
	ListPauses(ctx context.Context, limit int) ([]Pause, error)
}

// Purger forgets finished tasks.
type Purger interface {
	// Purge removes a task with its steps, history and dead letters. Faults:
	// task_not_found, task_not_finished.
	Purge(ctx context.Context, id ident.TaskID) error
}

// Leases are this server's: what it runs is its own while it renews.
type Leases interface {
	// Renew says that this server lives for another lease, and what its workers
	// have declared.
	Renew(ctx context.Context, lease time.Duration, declared []plan.Queue) error
	// Holders returns the servers that have ever renewed and are not forgotten.
	Holders(ctx context.Context) ([]Holder, error)
}

// Holder is a server that may hold leases.
type Holder struct {
	No       int32
	Name     string // for people
	Until    time.Time
	Live     bool // it has renewed in time, and a connection of its is open
	Declared []plan.Queue
}

// Checkpoints keeps how far running steps have come.
type Checkpoints interface {
	// SaveCheckpoint stores the checkpoint of a step while the dispatch is live
	// and with a worker; else live is false and nothing is stored.
	SaveCheckpoint(ctx context.Context, ref ident.StepRef, dispatch int32, checkpoint []byte) (live bool, err error)
}
