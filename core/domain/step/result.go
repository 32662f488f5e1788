package step

import (
	"encoding/json"
	"time"

	"github.com/tasker-go/tasker/core/domain/ident"
)

// Error types that the system itself gives to failures; a handler may use any
// others.
const (
	TypeHandlerError      = "handler_error"      // the handler returned an error
	TypeHandlerPanic      = "handler_panic"      // the handler panicked
	TypeHandlerTimeout    = "handler_timeout"    // timeout_seconds passed
	TypeHandlerNotFound   = "handler_not_found"  // the worker has no such handler
	TypeInvalidResult     = "invalid_result"     // the result is not an acceptable document
	TypeWorkerUnavailable = "worker_unavailable" // too many leases were lost
)

// Result is what a worker reports about one dispatch of a step.
type Result struct {
	Ref      ident.StepRef
	Dispatch int32           // the dispatch that the worker was given
	Value    json.RawMessage // what the handler returned; nil means null
	Failure  *Failure        // nil means success
	Elapsed  time.Duration   // how long the handler ran
	Chance   float64         // in [0,1): spreads retries, see Policy.Delay
}

// Failure says why a step did not succeed.
type Failure struct {
	Message    string          `json:"message"`
	Type       string          `json:"error_type"`
	Retryable  bool            `json:"retryable"` // false ends the step whatever attempts are left
	StatusCode int             `json:"status_code,omitempty"`
	Backtrace  []string        `json:"backtrace,omitempty"`
	Context    json.RawMessage `json:"context,omitempty"`
	RetryAfter time.Duration   `json:"-"` // wait asked for by the handler; 0 leaves it to the policy
}

// Verdict is what became of a reported result.
type Verdict uint8

// The verdicts. None of them is an error of the batch that carried the result.
const (
	Applied   Verdict = iota + 1 // it settled the dispatch
	Duplicate                    // the same result had settled it before
	Stale                        // not the live dispatch of an open step: nothing changed
)

// String names v in logs and metrics.
func (v Verdict) String() string {
	switch v {
	case Applied:
		return "applied"
	case Duplicate:
		return "duplicate"
	case Stale:
		return "stale"
	default:
		return "none"
	}
}
