// Package ports names what the core needs from the world, in the domain's
// terms. Every method takes and returns many; one is a slice of one. An error
// that is no fault is an outage or a defect; IsOutage tells them apart.
package ports

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
)

// Scope is what a transaction claims, locks and reads before it decides.
type Scope struct {
	// Steps are locked through their tasks and read with their direct children.
	Steps []ident.StepRef
	// Tasks are locked and read with all their steps, which are locked too.
	Tasks []ident.TaskID
	// Identities are claimed for the tasks that are to have them. One that
	// another task holds appears in Snapshot.Taken and stays with it.
	Identities []IdentityClaim
	// Probes are looked up and appear in Snapshot.Stored if they exist.
	Probes []ident.TaskID
}

// IdentityClaim asks for an identity.
type IdentityClaim struct {
	Identity plan.Identity
	Task     ident.TaskID
}

// Writes is what a transaction stores before it commits.
type Writes struct {
	plan.Decision
	// Claim, when it asks for anything, is carried out after everything else: it
	// sees the jobs that the decision caused.
	Claim ClaimRequest
}

// UnitOfWork is the one way in which the state of tasks and steps changes.
type UnitOfWork interface {
	// Run does, in one transaction: claim, lock (tasks by id, then steps) and
	// read what scope names; ask decide; store what it returns with the history
	// and the jobs it causes; carry out the claim; commit. All of it happens, or
	// none. Deadlocks and serialisation failures are retried, so decide may be
	// asked several times and has no effect of its own. An error of decide rolls
	// back and is returned as it is. The outcome is unknown after an outage.
	Run(ctx context.Context, scope Scope, decide func(*plan.Snapshot) (Writes, error)) (ClaimReply, error)
}

// ClaimRequest asks for steps that wait in queues.
type ClaimRequest struct {
	Queues []plan.Queue
	Limits []int // how many of each queue, at most
}

// Empty reports whether nothing is asked for.
func (r ClaimRequest) Empty() bool { return len(r.Queues) == 0 }

// ClaimReply is what a claim took.
type ClaimReply struct {
	Steps []ClaimedStep
	// Taken is the number of jobs looked at per queue of the request, those of
	// dispatches that are not live any more included: a queue that gave as many
	// as it was asked for may hold more.
	Taken []int
	// Again is set when nothing was looked at, for the store had to be asked in
	// another way: then Taken is what was asked for. A claim of its own never has
	// it; one that rides along may.
	Again bool
}

// ClaimedStep is one dispatch that is now in progress under a lease of this
// server.
type ClaimedStep struct {
	Ref           ident.StepRef
	Queue         int // index in the request
	Dispatch      int32
	Attempt       int32
	At            time.Time // when it was claimed, by the database's clock
	Def           int32
	Template      ident.TemplateID
	Name          string
	Context       json.RawMessage // of the task
	CorrelationID uuid.UUID
	Priority      int32
	// Parents are the results of the direct parents, when they are small enough
	// to travel along; see Complete.
	Parents []StepResult
	// Whole is false when some parent's result must be fetched by Results.
	Whole bool
	// Inputs replaces handler.initialization of the template; nil for as it is.
	Inputs json.RawMessage
	// Checkpoint is what an earlier dispatch saved; nil for none.
	Checkpoint json.RawMessage
}

// StepResult is what a step returned.
type StepResult struct {
	No    int32
	Name  string
	Value json.RawMessage
}

// StepQueue takes waiting steps for free slots.
type StepQueue interface {
	// Claim takes up to the limits, in the order of priority and age, in one
	// transaction that also gives them their lease. Jobs of dispatches that are
	// not live any more are removed.
	Claim(ctx context.Context, r ClaimRequest) (ClaimReply, error)
}

// Due is what should move by itself, the longest due first.
type Due struct {
	Wakes    []plan.Wake   // of steps whose wait is over, and of tasks that should start
	Endings  []plan.Ending // of tasks whose deadline has passed
	Next     time.Duration // until the earliest other one; negative: nothing waits
	Overdue  int           // of these, how many were due long before
	Earliest time.Time     // when the longest due was due; zero for none
}

// DueStore finds what should move by itself.
type DueStore interface {
	// Due returns at most limit steps and as many tasks. Overdue counts those
	// that were due before the grace.
	Due(ctx context.Context, limit int, grace time.Duration) (Due, error)
	// LostLeases returns steps in progress whose server is gone: it holds no
	// connection, or has not renewed its lease. Servers that hold none and are
	// not connected are forgotten. It returns at most limit.
	LostLeases(ctx context.Context, limit int) ([]plan.Wake, error)
	// UnservedSteps returns steps that have waited for longer than the age in the
	// queue of a handler that no live server has declared, at most limit: one for
	// each task.
	UnservedSteps(ctx context.Context, age time.Duration, limit int) ([]plan.Wake, error)
}

// ErrOutage marks errors after which the same call may succeed later: the
// database is not there, or went away. Whether the call took effect is unknown.
var ErrOutage = errors.New("the database cannot be reached")

// ErrContended marks a transaction that was given up because somebody outside,
// such as an embedding program's open transaction, held what it needed for too
// long. Nothing was written.
var ErrContended = errors.New("another transaction holds what this one needs")

// IsOutage reports whether err says that the database is not there, rather
// than that something is wrong with the request.
func IsOutage(err error) bool { return errors.Is(err, ErrOutage) }
