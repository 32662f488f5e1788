// Package memory keeps tasks in maps, with the semantics of a database: units
// of work happen whole or not at all, writes hold only while what they were
// decided on still stands, and history is kept. It passes the contract suite of
// core/ports. It can be made to fail at every moment of a transaction, so that
// what is built on the ports can be tested without a database; it is not for
// production, since nothing survives the process.
package memory

import (
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// Database is what servers share. All methods are safe for concurrent use.
type Database struct {
	clock func() time.Time

	mu         sync.Mutex
	offset     time.Duration
	interfere  func(Stage) error
	servers    int32
	gone       map[int32]bool
	leases     map[int32]holder // servers that have renewed
	tasks      map[ident.TaskID]taskRow
	steps      map[ident.StepRef]stepRow
	identities map[plan.Identity]ident.TaskID
	jobs       map[plan.Queue][]job
	inserted   int64 // jobs so far
	taskLog    map[ident.TaskID][]TaskTransition
	stepLog    map[ident.TaskID][]StepTransition
	templates  []ports.StoredTemplate // by id, which counts from 1
	letters    map[deadletter.EntryID]letterRow
	resumes    map[uuid.UUID]ports.BulkResume
	bulk       map[uuid.UUID]ports.BulkOperation
	pauses     map[pauseKey]ports.Pause
	aside      map[job]plan.Queue // jobs that a claim set aside for a pause
	disabled   map[task.Name]ports.Hold
}

// New returns an empty database whose time is clock's, shifted by Shift.
func New(clock func() time.Time) *Database {
	return &Database{
		clock: clock, interfere: func(Stage) error { return nil }, gone: map[int32]bool{}, leases: map[int32]holder{},
		tasks: map[ident.TaskID]taskRow{}, steps: map[ident.StepRef]stepRow{},
		identities: map[plan.Identity]ident.TaskID{}, jobs: map[plan.Queue][]job{},
		disabled: map[task.Name]ports.Hold{}, pauses: map[pauseKey]ports.Pause{}, aside: map[job]plan.Queue{},
		letters: map[deadletter.EntryID]letterRow{}, resumes: map[uuid.UUID]ports.BulkResume{}, bulk: map[uuid.UUID]ports.BulkOperation{},
		taskLog: map[ident.TaskID][]TaskTransition{}, stepLog: map[ident.TaskID][]StepTransition{},
	}
}

// Shift moves the database's clock forward.
func (db *Database) Shift(by time.Duration) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.offset += by
}

// now is the time of the database. The caller holds the lock.
func (db *Database) now() time.Time { return db.clock().Add(db.offset).UTC() }

// Store is one server's way to the database. It implements the ports that
// change and read tasks. All methods are safe for concurrent use.
type Store struct {
	db     *Database
	server int32
}

var (
	_ ports.UnitOfWork    = (*Store)(nil)
	_ ports.StepQueue     = (*Store)(nil)
	_ ports.DueStore      = (*Store)(nil)
	_ ports.TaskReads     = (*Store)(nil)
	_ ports.TemplateStore = (*Store)(nil)
	_ ports.Lease         = (*Store)(nil)
)

// Connect adds a server.
func (db *Database) Connect() *Store {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.servers++
	return &Store{db: db, server: db.servers}
}

// Instance implements ports.Lease.
func (s *Store) Instance() int32 { return s.server }

// Close ends the server: what it holds is lost, and what it tries from now on
// is an outage.
func (s *Store) Close() {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	s.db.gone[s.server] = true
}

// Stage is a moment at which a call can be made to fail.
type Stage uint8

// The stages.
const (
	Begin     Stage = iota + 1 // a unit of work begins
	Decided                    // it is decided and written, and not committed: what fails here leaves nothing
	Committed                  // it is committed, and the caller does not know yet: what fails here is stored
	Claiming                   // a claim of its own begins
	Claimed                    // it is committed, and the caller does not know yet
	Reading                    // anything else
)

// ErrConflict is for Interfere: it has a unit of work rolled back and tried
// again, as after a deadlock.
var ErrConflict = errors.New("the transaction met another one")

// Interfere has f asked at every stage of every call; what it returns happens
// there. It may wait, but must not use the database. Nil ends the interference.
func (db *Database) Interfere(f func(Stage) error) {
	if f == nil {
		f = func(Stage) error { return nil }
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.interfere = f
}

// at asks the interference; the caller does not hold the lock.
func (s *Store) at(stage Stage) error {
	s.db.mu.Lock()
	f, gone := s.db.interfere, s.db.gone[s.server]
	s.db.mu.Unlock()
	if gone {
		return ports.ErrOutage
	}
	return f(stage)
}

type taskRow struct {
	plan.Submission
	state     task.State
	counters  task.Counters
	created   time.Time
	updated   time.Time
	completed time.Time
	entered   time.Time // when it came into its state
	wakeAt    time.Time
	deadline  time.Time
	letters   int32 // dead letters so far

	letterOpen, letterStale bool
}

type stepRow struct {
	def, openParents, attempts, maxAttempts, dispatch, losses int32
	name                                                      string
	state                                                     step.State
	parents, children                                         []int32
	owner                                                     int32 // of the lease; 0 for none
	created, updated, completed, attempted, failed, wakeAt    time.Time
	value, failure                                            json.RawMessage
	elapsed                                                   int32 // ms
	inputs, checkpoint                                        json.RawMessage
}

// TaskTransition is a row of a task's history.
type TaskTransition struct {
	At       time.Time
	Server   int32
	From, To task.State
	Path     []task.State
	By, Why  string
}

// StepTransition is a row of a step's history.
type StepTransition struct {
	Ref               ident.StepRef
	At                time.Time
	Server            int32
	Dispatch, Attempt int32
	From, To          step.State
	Path              []step.State
	Failure           json.RawMessage
	By, Why           string
}

// TaskHistory returns what happened to a task, in order.
func (db *Database) TaskHistory(id ident.TaskID) []TaskTransition {
	db.mu.Lock()
	defer db.mu.Unlock()
	return append([]TaskTransition(nil), db.taskLog[id]...)
}

// StepHistory returns what happened to the steps of a task, in order.
func (db *Database) StepHistory(id ident.TaskID) []StepTransition {
	db.mu.Lock()
	defer db.mu.Unlock()
	return append([]StepTransition(nil), db.stepLog[id]...)
}

// Waiting returns how many jobs wait in a queue.
func (db *Database) Waiting(q plan.Queue) int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return len(db.jobs[q])
}
