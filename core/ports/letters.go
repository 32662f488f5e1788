package ports

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Letter is a dead letter as it is stored.
type Letter struct {
	ID            deadletter.EntryID
	Task          ident.TaskID
	Ordinal       int32
	Name          task.Name // of the template
	OriginalState task.State
	Reason        deadletter.Reason
	At            time.Time
	Status        deadletter.Status
	ResolvedAt    time.Time // zero while pending
	Notes         string
	ResolvedBy    string
	Fingerprint   string          // of the first failure; empty for none
	Snapshot      json.RawMessage // as it was when the letter was opened, nothing redacted
	Metadata      json.RawMessage // nil for none
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// LetterFailure is a step that failed for good.
type LetterFailure struct {
	Ref         ident.StepRef
	Name        string
	Dispatch    int32
	Attempt     int32
	At          time.Time
	Type        string
	Message     string
	Fingerprint string
}

// LetterFilter selects dead letters. Zero fields select all.
type LetterFilter struct {
	Status      deadletter.Status
	Reasons     []deadletter.Reason
	Namespace   string
	Name        string
	Version     string
	Fingerprint string    // some failure has it
	From, Until time.Time // of At
	Within      []string  // of these namespaces, beside Namespace; nil for all
}

// Namespaces returns those that letters are selected from: nil for all, and an
// empty list, which is not nil, for none.
func (f LetterFilter) Namespaces() []string {
	switch {
	case f.Namespace == "":
		return f.Within
	case f.Within == nil || slices.Contains(f.Within, f.Namespace):
		return []string{f.Namespace}
	default:
		return []string{}
	}
}

// LetterUpdate is what an investigation notes. Zero fields keep what is there.
type LetterUpdate struct {
	If         deadletter.Status // only while the letter has it, else a fault dead_letter_closed; zero: whatever it has
	Status     deadletter.Status
	Notes      string
	ResolvedBy string
	Metadata   json.RawMessage
}

// LetterStat is how many dead letters have a reason.
type LetterStat struct {
	Reason                                      deadletter.Reason
	Total, Pending, Resolved, Failed, Cancelled int64
	Oldest, Newest                              time.Time // zero for none
	AverageMinutes                              float64   // until resolved, or so far
}

// LetterGroup is the failures that are alike.
type LetterGroup struct {
	Fingerprint string
	Name        task.Name
	Step        string
	Type        string
	Message     string // of the newest
	Letters     int64  // that hold such a failure
	Failures    int64
	First, Last time.Time
}

// Investigation is an open dead letter with its priority.
type Investigation struct {
	Letter
	MinutesInDLQ  float64
	PriorityScore float64 // weight of the reason and minutes in the queue
	CurrentState  task.State
	StateMinutes  int32 // how long the task has been in its state
}

// StandingTask is an open task and how long it has been in its state.
type StandingTask struct {
	ID        ident.TaskID
	Template  ident.TemplateID
	Name      task.Name
	State     task.State
	EnteredAt time.Time
	CreatedAt time.Time
	Now       time.Time // of the database, in the same snapshot
	Priority  int32
	Running   int32 // steps that a worker runs: such a task is not stale
	Letter    bool  // a dead letter of it is open
}

// StandingFilter selects tasks that may stand still.
type StandingFilter struct {
	States    []task.State
	Templates []ident.TemplateID // nil for all
	Within    []string           // of these namespaces; nil for all
	Except    []ident.TemplateID // not of these
	Age       time.Duration      // they have been in their state for at least that long
	// Idle leaves out those of which a step runs, those of which a dead letter is
	// open, and those whose newest one was closed within Age: somebody has looked.
	Idle    bool
	Limit   int
	Longest bool // those that have stood longest first; else in no order
}

// Letters keeps dead letters. They are opened and closed by units of work alone,
// but for Update.
type Letters interface {
	// Letters returns a page of those that a filter selects, newest first.
	Letters(ctx context.Context, f LetterFilter, skip, limit int) ([]Letter, error)
	// Letter returns one, or a fault dead_letter_not_found.
	Letter(ctx context.Context, id deadletter.EntryID) (Letter, error)
	// LetterOf returns the newest of a task, or a fault dead_letter_not_found.
	LetterOf(ctx context.Context, id ident.TaskID) (Letter, error)
	// Failures returns what is in one, the oldest first.
	Failures(ctx context.Context, id deadletter.EntryID, limit int) ([]LetterFailure, error)
	// Stats returns a row for each reason that there are letters for, in some
	// namespaces or, when within is nil, in all.
	Stats(ctx context.Context, within []string) ([]LetterStat, error)
	// Groups returns failures of the selected letters by fingerprint, those of
	// most letters first.
	Groups(ctx context.Context, f LetterFilter, limit int) ([]LetterGroup, error)
	// Investigations returns open letters by priority; within as for Stats.
	Investigations(ctx context.Context, within []string, limit int) ([]Investigation, error)
	// Standing returns open tasks by how long they have been in their state.
	Standing(ctx context.Context, f StandingFilter) ([]StandingTask, error)
	// Update notes what an investigation found. A status other than pending
	// closes the letter, and pending opens the newest one of a task again; the
	// task itself stays as it is. That of a task which has ended is not opened
	// again. Faults: dead_letter_not_found, task_finished,
	// dead_letter_superseded, dead_letter_closed.
	Update(ctx context.Context, id deadletter.EntryID, u LetterUpdate) (Letter, error)
}

// ResumeState says how a bulk resume stands.
type ResumeState string

// The states; the last three are final.
const (
	ResumeCanary    ResumeState = "canary"  // a first share runs, and is waited for
	ResumeRunning   ResumeState = "running" // the rest
	ResumeComplete  ResumeState = "complete"
	ResumeStopped   ResumeState = "stopped" // too many failed again
	ResumeCancelled ResumeState = "cancelled"
)

// BulkResume is the resume of many dead letters, as far as it has come.
type BulkResume struct {
	ID          uuid.UUID
	Request     json.RawMessage // what was asked for
	By, Reason  string
	State       ResumeState
	Matched     int                // letters that the filter selected when it began
	Resumed     int                // letters whose task runs again
	Refused     int                // letters that had been closed meanwhile
	FailedAgain int                // of those resumed
	After       deadletter.EntryID // letters up to here are done
	Message     string             // for people: why it stopped
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// LetterKey is what a resume needs to know of a letter.
type LetterKey struct {
	ID      deadletter.EntryID
	Task    ident.TaskID
	Ordinal int32
}

// Resumes keeps bulk resumes.
type Resumes interface {
	// Begin stores a resume, together with the job that carries it out. It is
	// created now, whatever r says.
	Begin(ctx context.Context, r BulkResume) error
	// Resume returns one, or a fault resume_not_found.
	Resume(ctx context.Context, id uuid.UUID) (BulkResume, error)
	// ListResumes returns the newest ones.
	ListResumes(ctx context.Context, limit int) ([]BulkResume, error)
	// Save stores how far one has come, unless it is in a final state already:
	// then saved is false.
	Save(ctx context.Context, r BulkResume) (saved bool, err error)
	// Count counts open letters that a filter selects.
	Count(ctx context.Context, f LetterFilter) (int, error)
	// Next returns open letters that a filter selects, in the order of their ids.
	Next(ctx context.Context, f LetterFilter, after deadletter.EntryID, limit int) ([]LetterKey, error)
	// Mark notes that a bulk resume is about to resume open letters, so that what
	// it did is known even when it is cut off; Unmark takes that back for those
	// that somebody else had closed before.
	Mark(ctx context.Context, id uuid.UUID, letters []deadletter.EntryID) error
	Unmark(ctx context.Context, id uuid.UUID, letters []deadletter.EntryID) error
	// Outcome tells what became of what a bulk resume has resumed.
	Outcome(ctx context.Context, id uuid.UUID) (ResumeOutcome, error)
}

// ResumeOutcome is what became of the letters that were marked and are closed.
type ResumeOutcome struct {
	Resumed     int
	FailedAgain int // their tasks have a newer dead letter
	UnderWay    int // their tasks are not at an end, and have no newer one
	Now         time.Time
}

// Announcer tells the world of dead letters.
type Announcer interface {
	// Announce delivers one. It is called again until it returns nil.
	Announce(ctx context.Context, l Letter) error
}
