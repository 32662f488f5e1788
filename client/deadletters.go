package client

import (
	"context"
	"iter"
	"strings"
	"time"
)

// DeadLetterReason is why a task became a dead letter.
type DeadLetterReason string

// The reasons.
const (
	StalenessTimeout        DeadLetterReason = "staleness_timeout"
	MaxRetriesExceeded      DeadLetterReason = "max_retries_exceeded"
	DependencyCycleDetected DeadLetterReason = "dependency_cycle_detected"
	WorkerUnavailable       DeadLetterReason = "worker_unavailable"
	ManualDLQ               DeadLetterReason = "manual_dlq"
	PermanentFailure        DeadLetterReason = "permanent_failure"
)

// UnmarshalText reads both spellings of the server.
func (r *DeadLetterReason) UnmarshalText(text []byte) error {
	*r = DeadLetterReason(snake(string(text)))
	return nil
}

// DeadLetterStatus is how far an investigation has come.
type DeadLetterStatus string

// The statuses.
const (
	LetterPending           DeadLetterStatus = "pending"
	LetterManuallyResolved  DeadLetterStatus = "manually_resolved"
	LetterPermanentlyFailed DeadLetterStatus = "permanently_failed"
	LetterCancelled         DeadLetterStatus = "cancelled"
)

// UnmarshalText reads both spellings of the server.
func (s *DeadLetterStatus) UnmarshalText(text []byte) error {
	*s = DeadLetterStatus(snake(string(text)))
	return nil
}

// check refuses what the server would take for no filter over gRPC.
func (s DeadLetterStatus) check(field string) error {
	switch s {
	case "", LetterPending, LetterManuallyResolved, LetterPermanentlyFailed, LetterCancelled:
		return nil
	}
	return badRequest(field, "%s is none of pending, manually_resolved, permanently_failed, cancelled", field)
}

// snake turns MaxRetriesExceeded into max_retries_exceeded.
func snake(text string) string {
	var b strings.Builder
	for i, r := range text {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// DeadLetter is a task that needs a person.
type DeadLetter struct {
	ID            string           `json:"dlq_entry_uuid"`
	TaskID        string           `json:"task_uuid"`
	OriginalState TaskState        `json:"original_state"`
	Reason        DeadLetterReason `json:"dlq_reason"`
	At            time.Time        `json:"dlq_timestamp"`
	Status        DeadLetterStatus `json:"resolution_status"`
	ResolvedAt    time.Time        `json:"resolution_timestamp"`
	Notes         string           `json:"resolution_notes"`
	ResolvedBy    string           `json:"resolved_by"`
	Snapshot      JSON             `json:"task_snapshot"`
	Metadata      JSON             `json:"metadata"`
	CreatedAt     time.Time        `json:"created_at"`
	UpdatedAt     time.Time        `json:"updated_at"`
	Ordinal       int              `json:"ordinal"`
	Namespace     string           `json:"namespace"`
	Name          string           `json:"name"`
	Version       string           `json:"version"`
	Fingerprint   string           `json:"fingerprint"`
}

// DeadLetterFilter selects dead letters; what is empty selects all.
type DeadLetterFilter struct {
	Status                   DeadLetterStatus
	Reasons                  []DeadLetterReason // any of them
	Namespace, Name, Version string
	Fingerprint              string
	From, Until              time.Time
}

// DeadLetterUpdate is what an investigation notes; what is empty stays as it is.
type DeadLetterUpdate struct {
	Status     DeadLetterStatus `json:"resolution_status,omitempty"`
	Notes      string           `json:"resolution_notes,omitempty"`
	ResolvedBy string           `json:"resolved_by,omitempty"`
	Metadata   any              `json:"metadata,omitempty"` // marshals to a JSON object
}

// ResumeAction is what is done with failed steps.
type ResumeAction string

// What can be done: run them again, count them as done without a result or with
// one, or end the task in error.
const (
	ResetSteps   ResumeAction = "reset"
	SkipSteps    ResumeAction = "skip"
	ResolveSteps ResumeAction = "resolve"
	GiveUp       ResumeAction = "give_up"
)

// Resume says how a dead letter runs again.
type Resume struct {
	Action ResumeAction `json:"action,omitempty"` // for the steps that are not named; empty for ResetSteps
	Steps  []ResumeStep `json:"steps,omitempty"`
	Said
}

// ResumeStep is what to do with one step.
type ResumeStep struct {
	Name   string       `json:"name"`
	Action ResumeAction `json:"action,omitempty"`
	Value  any          `json:"value,omitempty"`  // with ResolveSteps: the result
	Inputs any          `json:"inputs,omitempty"` // with ResetSteps: marshals to a JSON object
}

// BulkResume says how many dead letters run again.
type BulkResume struct {
	Filter        DeadLetterFilter
	Action        ResumeAction
	DryRun        bool    // count only
	Rate          float64 // how many a second; 0 for as fast as it goes
	CanaryPercent float64 // the share that runs first and is waited for
	StopPercent   float64 // stop when so many have failed again; 0 for never
	Limit         int     // how many at most; 0 for all
	Said
}

// ResumeOperation is the resume of many dead letters, as far as it has come.
type ResumeOperation struct {
	ID          string    `json:"resume_uuid"` // empty for a dry run
	State       string    `json:"state"`       // canary, running, complete, stopped or cancelled; empty for a dry run
	By          string    `json:"by"`
	Reason      string    `json:"reason"`
	Matched     int       `json:"matched"`
	Resumed     int       `json:"resumed"`
	Refused     int       `json:"refused"`
	FailedAgain int       `json:"failed_again"`
	Message     string    `json:"message"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// lettersPerPage is how many ListDeadLetters asks for at once.
const lettersPerPage = 200

// ListDeadLetters goes through dead letters, the newest first. It ends after an
// error. While new ones arrive it may tell some twice.
func (c *Client) ListDeadLetters(ctx context.Context, f DeadLetterFilter) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		if err := f.Status.check("status"); err != nil {
			yield(DeadLetter{}, err)
			return
		}
		for offset := 0; ; offset += lettersPerPage {
			page, err := do(ctx, c, anyway, func(ctx context.Context) ([]DeadLetter, error) {
				return c.t.listDeadLetters(ctx, &f, offset, lettersPerPage)
			})
			if err != nil {
				yield(DeadLetter{}, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if len(page) < lettersPerPage {
				return
			}
		}
	}
}

// GetDeadLetter reads the newest dead letter of a task.
func (c *Client) GetDeadLetter(ctx context.Context, task string) (DeadLetter, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (DeadLetter, error) { return c.t.getDeadLetter(ctx, task) })
}

// UpdateDeadLetter notes what an investigation found. The task does not move.
func (c *Client) UpdateDeadLetter(ctx context.Context, id string, u DeadLetterUpdate) error {
	if err := u.Status.check("status"); err != nil {
		return err
	}
	_, err := do(ctx, c, ifUntouched, func(ctx context.Context) (none, error) { return none{}, c.t.updateDeadLetter(ctx, id, &u) })
	return err
}

// ResumeDeadLetter lets the task of a dead letter go on. A second time is
// ErrDeadLetterClosed.
func (c *Client) ResumeDeadLetter(ctx context.Context, id string, r Resume) (Task, error) {
	return do(ctx, c, ifUntouched, func(ctx context.Context) (Task, error) { return c.t.resumeDeadLetter(ctx, id, &r) })
}

// ResumeDeadLetters begins to resume many dead letters, in the background.
func (c *Client) ResumeDeadLetters(ctx context.Context, r BulkResume) (ResumeOperation, error) {
	if err := r.Filter.Status.check("filter.status"); err != nil {
		return ResumeOperation{}, err
	}
	return do(ctx, c, repeat(r.DryRun), func(ctx context.Context) (ResumeOperation, error) { return c.t.resumeDeadLetters(ctx, &r) })
}

// GetResume tells how far the resume of many has come.
func (c *Client) GetResume(ctx context.Context, id string) (ResumeOperation, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (ResumeOperation, error) { return c.t.getResume(ctx, id) })
}

// CancelResume stops the resume of many; what was resumed goes on.
func (c *Client) CancelResume(ctx context.Context, id string, s Said) (ResumeOperation, error) {
	return do(ctx, c, ifUntouched, func(ctx context.Context) (ResumeOperation, error) { return c.t.cancelResume(ctx, id, s) })
}

type none struct{}
