// Package fault is how the core says that something cannot be done. A fault is
// the only kind of error that an adapter translates; anything else is a defect
// or an outage and reaches callers as a fixed text.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the class of a fault; the doors map it to a status.
type Kind uint8

// The zero Kind is Internal, so that a fault made in haste says too little
// rather than too much.
const (
	Internal         Kind = iota
	Invalid               // the request cannot be right whatever the state
	NotFound              // what it names does not exist
	Conflict              // it exists already
	Refused               // not allowed in the present state
	Unauthenticated       // who are you?
	PermissionDenied      // you may not
	TooLarge              // over a size limit
	Unavailable           // not now; see RetryAfter
	RateLimited           // not so fast; see RetryAfter
	Timeout               // it took too long
)

var kindNames = [...]string{
	"internal", "invalid", "not_found", "conflict", "refused", "unauthenticated",
	"permission_denied", "too_large", "unavailable", "rate_limited", "timeout",
}

// String returns the name of k.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// Kinds returns every kind, for tests that walk them.
func Kinds() []Kind {
	all := make([]Kind, len(kindNames))
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Detail is one thing wrong with one field.
type Detail struct {
	Field   string // dotted path, as the caller spelled it: "context.items[2].sku"
	Message string // what is wrong and what would be right
}

// Error is what the core returns for everything a caller can understand.
type Error struct {
	Kind       Kind
	Code       Code              // stable and machine-readable
	Message    string            // safe to show: what is wrong and what would be right
	Field      string            // the input to blame, when there is one
	Details    []Detail          // each problem, when there are several
	Meta       map[string]string // facts for machines, such as the id of the existing task
	RetryAfter time.Duration     // for Unavailable and RateLimited
	Err        error             // the cause, for logs only
}

// Error returns the message, and the cause when there is one: this text is for
// logs. Callers are shown Message.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns a fault with the kind that belongs to code.
func New(code Code, format string, args ...any) *Error {
	return &Error{Kind: code.Kind(), Code: code, Message: fmt.Sprintf(format, args...)}
}

// In returns a fault that blames one field of the input.
func In(field string, code Code, format string, args ...any) *Error {
	e := New(code, format, args...)
	e.Field = field
	return e
}

// With returns e with one more fact for machines.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.Meta = make(map[string]string, len(e.Meta)+1)
	for k, v := range e.Meta {
		c.Meta[k] = v
	}
	c.Meta[key] = value
	return &c
}

// Because returns e with its cause.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// Later returns e with the time to wait before another try.
func (e *Error) Later(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Of returns the fault in err's chain, or an Internal one that wraps err.
func Of(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Internal, Code: CodeInternal, Message: "internal error; the server's log has the cause", Err: err}
}

// Is reports whether err is a fault with the code.
func Is(err error, code Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}
