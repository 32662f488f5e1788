package readiness

import (
	"time"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// Facts is everything that Explain looks at.
type Facts struct {
	Now   time.Time
	Task  TaskFacts
	Steps []StepFacts // all that exist, in any order
}

// TaskFacts is what is known of a task.
type TaskFacts struct {
	State task.State
	task.Counters
	EnteredAt  time.Time     // when it came into its state; zero for unknown
	StaleAfter time.Duration // how long it may stay in it; 0 for ever
	StartAt    time.Time     // of a task that is pending; zero for none
	Deadline   time.Time     // zero for none
	Letter     *LetterFacts  // the open dead letter; nil for none
	Pauses     []Pause       // all that hold the task back
}

// LetterFacts is an open dead letter.
type LetterFacts struct {
	EntryID string
	Reason  string
	Since   time.Time
}

// Pause is what an operator holds back, and with it the task.
type Pause struct {
	Kind    string // namespace, template or task
	Subject string // the name of the namespace or template; not looked at for a task
	By      string
	Reason  string
	Since   time.Time
}

// StepFacts is what is known of a step.
type StepFacts struct {
	No            int32 // 1..ident.MaxSteps
	Name          string
	State         step.State
	Parents       []int32
	OpenParents   int32 // parents that do not satisfy it yet
	Attempts      int32 // begun, the running one included
	MaxAttempts   int32
	Retryable     bool
	Losses        int32     // leases lost
	WakeAt        time.Time // when a waiting step is tried again; zero for never
	Since         time.Time // when it came into its state; zero for unknown
	Handler       string
	Served        bool // a worker of a live server has declared the handler
	Lease         *LeaseFacts
	LastErrorType string
	LastError     string
}

// LeaseFacts is who runs a step.
type LeaseFacts struct {
	Holder string
	Until  time.Time // zero while the holder has not renewed yet
	Gone   bool      // the holder has no open connection, whatever Until says
}

// lapsed reports whether the step that is under the lease will be taken back.
func (l *LeaseFacts) lapsed(now time.Time) bool {
	return l == nil || l.Gone || !l.Until.IsZero() && !l.Until.After(now)
}

// rules returns what the rules of this package look at.
func (s *StepFacts) rules() Step {
	return Step{
		State: s.State, Parents: int32(len(s.Parents)), OpenParents: s.OpenParents, //nolint:gosec // G115: at most MaxSteps
		Attempts: s.Attempts, MaxAttempts: s.MaxAttempts, Retryable: s.Retryable, NextRetryAt: s.WakeAt,
	}
}

// limit returns how many attempts the step has in all.
func (s *StepFacts) limit() int32 {
	if !s.Retryable {
		return 1
	}
	return max(s.MaxAttempts, 1)
}
