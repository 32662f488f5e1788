package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/domain/step"
)

// Failure is why a step did not succeed, as it is stored.
type Failure = step.Failure

// Types that say what went wrong well enough to decide on the next attempt: use
// them as Error.Type. Any other type is kept as it is and retried as the
// template says.
const (
	TypeExecutionTimeout    = step.TypeExecutionTimeout    // retried after 60, 120, 240, then 300 s
	TypeDatabaseConnection  = step.TypeDatabaseConnection  // retried
	TypeDatabaseLock        = step.TypeDatabaseLock        // retried
	TypeDatabaseConstraint  = step.TypeDatabaseConstraint  // permanent
	TypeDatabaseGeneral     = step.TypeDatabaseGeneral     // retried
	TypeStateTransition     = step.TypeStateTransition     // retried after 0.5 s × attempt if it speaks of locks or concurrency; else permanent
	TypeConfiguration       = step.TypeConfiguration       // permanent
	TypeValidation          = step.TypeValidation          // permanent
	TypeStepExecutionFailed = step.TypeStepExecutionFailed // by StatusCode, then by the words of the message
	TypeRetryLimitExceeded  = step.TypeRetryLimitExceeded  // permanent
	TypeUnknown             = step.TypeUnknown             // retried
)

// Error is an error that says more about a failure. Handlers may return it, or
// wrap it; Permanent and RetryAfter make the usual ones.
type Error struct {
	Err        error
	Type       string         // stored as error_type; "handler_error" if empty
	Permanent  bool           // no attempt will help
	StatusCode int            // of an outside service, when one answered
	RetryAfter time.Duration  // wait at least so long, within the template's maximum
	Context    map[string]any // facts for whoever investigates
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Permanent marks an error that no other attempt will mend.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	e := about(err)
	e.Permanent = true
	return e
}

// RetryAfter asks for the next attempt to wait. It does not make a permanent
// error less so.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	e := about(err)
	e.RetryAfter = d
	return e
}

// RetryAt asks for the next attempt to wait until t. A time that is past asks
// for nothing: the template decides.
func RetryAt(err error, t time.Time) error {
	if err == nil {
		return nil
	}
	return RetryAfter(err, max(0, time.Until(t)))
}

// RetryAfterHeader asks for the wait that an outside service has named in its
// Retry-After header: seconds or a date. Without one that can be read and lies
// ahead, the template decides.
func RetryAfterHeader(err error, value string) error {
	d, ok := step.ParseRetryAfter(value, time.Now())
	if err == nil || !ok || d == 0 {
		return err
	}
	return RetryAfter(err, d)
}

// about returns an Error around err that says all that err says.
func about(err error) *Error {
	if inner, ok := errors.AsType[*Error](err); ok {
		outer := *inner
		outer.Err = err
		return &outer
	}
	return &Error{Err: err}
}

// longestMessage bounds what is stored of an error, in bytes.
const longestMessage = 8 << 10

func failureOf(err error) *Failure {
	f := &Failure{Message: clean(err.Error()), Type: step.TypeHandlerError, Retryable: true}
	if e, ok := errors.AsType[*Error](err); ok {
		f.Retryable = !e.Permanent
		f.StatusCode, f.RetryAfter = e.StatusCode, e.RetryAfter
		if e.Type != "" {
			f.Type = clean(e.Type)
		}
		if len(e.Context) > 0 {
			if raw, err := json.Marshal(e.Context); err == nil {
				f.Context = raw
			}
		}
	}
	return f
}

// clean makes a text that can be stored: bounded, valid and without NUL.
func clean(s string) string {
	if len(s) > longestMessage {
		s = s[:longestMessage] + "…"
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Outcome is how a handler ended.
type Outcome struct {
	Value   json.RawMessage // what it returned
	Failure *Failure        // nil for success
	Elapsed time.Duration
}

// Run runs a handler to its end: panics, results that cannot be stored and
// errors all become failures. Limit is the time that the step may take, 0 for
// any. When the time is up and the handler does not return, report is called
// nevertheless; Run returns when the handler has.
func Run(ctx context.Context, h Handler, s *Step, limit time.Duration, report func(Outcome)) {
	began := time.Now()
	if limit <= 0 {
		report(call(ctx, h, s, began))
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTimeUp)
	defer cancel()
	ended := make(chan Outcome, 1)
	go func() { ended <- call(ctx, h, s, began) }()
	select {
	case o := <-ended:
		report(o)
	case <-ctx.Done():
		// Most handlers return at once when their context ends.
		grace := time.NewTimer(stubborn)
		defer grace.Stop()
		select {
		case o := <-ended:
			report(o)
		case <-grace.C:
			report(Outcome{Failure: timeUp(limit), Elapsed: time.Since(began)})
			<-ended
		}
	}
}

// stubborn is how long a handler may outlast its context before the step is
// settled without it.
const stubborn = 250 * time.Millisecond

var errTimeUp = errors.New("timeout_seconds is over")

func timeUp(limit time.Duration) *Failure {
	return &Failure{
		Type: step.TypeHandlerTimeout, Retryable: true,
		Message: fmt.Sprintf("the handler took longer than its limit of %s", limit),
	}
}

func call(ctx context.Context, h Handler, s *Step, began time.Time) (o Outcome) {
	defer func() {
		o.Elapsed = time.Since(began)
		if p := recover(); p != nil {
			o.Value = nil
			o.Failure = &Failure{
				Message: clean(fmt.Sprintf("the handler panicked: %v", p)), Type: step.TypeHandlerPanic,
				Backtrace: strings.Split(clean(string(debug.Stack())), "\n"),
			}
		}
	}()
	v, err := h.Handle(ctx, s)
	if err != nil {
		o.Failure = failureOf(err)
		if errors.Is(context.Cause(ctx), errTimeUp) && errors.Is(err, context.DeadlineExceeded) {
			o.Failure.Type = step.TypeHandlerTimeout
		}
		return o
	}
	if raw, ok := v.(json.RawMessage); ok {
		o.Value = raw
		return o
	}
	raw, err := json.Marshal(v)
	if err != nil {
		o.Failure = &Failure{Message: clean("the handler's result is not JSON: " + err.Error()), Type: step.TypeInvalidResult}
		return o
	}
	o.Value = raw
	return o
}
