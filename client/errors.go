package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tasker-go/tasker/core/domain/fault"
)

// Code says what is wrong, for machines. Codes are never renamed; the server may
// have more than are named here. A Code is an error for errors.Is:
//
//	if errors.Is(err, client.ErrTaskExists) { … }
type Code string

// Error returns the code.
func (c Code) Error() string { return string(c) }

// The codes that programs tell apart most often; docs/rest-api.md has them all.
const (
	ErrInvalidField       = Code(fault.CodeInvalidField)
	ErrInvalidUUID        = Code(fault.CodeInvalidUUID)
	ErrInvalidInput       = Code(fault.CodeInvalidInput)
	ErrInvalidTemplate    = Code(fault.CodeInvalidTemplate)
	ErrInvalidCursor      = Code(fault.CodeInvalidCursor)
	ErrInvalidState       = Code(fault.CodeInvalidState)
	ErrPayloadTooLarge    = Code(fault.CodePayloadTooLarge)
	ErrTaskNotFound       = Code(fault.CodeTaskNotFound)
	ErrStepNotFound       = Code(fault.CodeStepNotFound)
	ErrStepOfAnotherTask  = Code(fault.CodeStepElsewhere)
	ErrTemplateNotFound   = Code(fault.CodeTemplateNotFound)
	ErrTemplateChanged    = Code(fault.CodeTemplateChanged)
	ErrTemplateDisabled   = Code(fault.CodeTemplateDisabled)
	ErrTaskExists         = Code(fault.CodeTaskExists) // Meta has task_uuid
	ErrTaskFinished       = Code(fault.CodeTaskFinished)
	ErrTaskNotBlocked     = Code(fault.CodeTaskNotBlocked)
	ErrTaskNotStarted     = Code(fault.CodeTaskNotStarted)
	ErrNoFailedSteps      = Code(fault.CodeNoFailedSteps)
	ErrIllegalTransition  = Code(fault.CodeIllegalTransition)
	ErrDeadLetterNotFound = Code(fault.CodeDeadLetterNotFound)
	ErrDeadLetterClosed   = Code(fault.CodeDeadLetterClosed)
	ErrResumeNotFound     = Code(fault.CodeResumeNotFound)
	ErrOperationNotFound  = Code(fault.CodeOperationNotFound)
	ErrUnauthenticated    = Code(fault.CodeUnauthenticated)
	ErrPermissionDenied   = Code(fault.CodePermissionDenied)
	ErrRateLimited        = Code(fault.CodeRateLimited)
	ErrMailboxFull        = Code(fault.CodeMailboxFull)
	ErrBreakerOpen        = Code(fault.CodeBreakerOpen)
	ErrDatabaseDown       = Code(fault.CodeDatabaseDown)
	ErrContended          = Code(fault.CodeContended)
	ErrShuttingDown       = Code(fault.CodeShuttingDown)
	ErrNotReady           = Code(fault.CodeNotReady)
	ErrDeadlineExceeded   = Code(fault.CodeDeadlineExceeded)
	ErrInternal           = Code(fault.CodeInternal)
)

// Codes of this package: the server did not say them.
const (
	ErrUnreachable = Code("unreachable") // no server, or one that did not answer as one
	ErrBadAnswer   = Code("bad_answer")  // an answer that cannot be read
	ErrBadRequest  = Code("bad_request") // a request that cannot be sent
)

// Kind is the class of an error.
type Kind = fault.Kind

// The kinds.
const (
	Internal         = fault.Internal
	Invalid          = fault.Invalid
	NotFound         = fault.NotFound
	Conflict         = fault.Conflict
	Refused          = fault.Refused
	Unauthenticated  = fault.Unauthenticated
	PermissionDenied = fault.PermissionDenied
	TooLarge         = fault.TooLarge
	Unavailable      = fault.Unavailable
	RateLimited      = fault.RateLimited
	Timeout          = fault.Timeout
)

// FieldError is one input to blame.
type FieldError struct{ Field, Message string }

// Error is what all methods fail with.
type Error struct {
	Kind       Kind
	Code       Code
	Message    string            // what is wrong and what would be right, for people
	Field      string            // the first input to blame, as a dotted path; empty for none
	Fields     []FieldError      // all of them
	Meta       map[string]string // facts for machines, such as task_uuid
	RetryAfter time.Duration     // as the server asks; 0 where it does not
	RequestID  string            // as in the server's log; may be empty
	HTTPStatus int               // 0 over gRPC, or without an answer
	GRPCCode   codes.Code        // OK over REST, or without an answer
	Err        error             // the cause on this side, such as context.Canceled

	before bool // surely nothing happened
}

// Error returns code and message.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the code of e.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// Retryable reports whether the same call may succeed later. Whether trying again
// is harmless is another question.
func (e *Error) Retryable() bool {
	if e.Err != nil && errors.Is(e.Err, context.Canceled) {
		return false
	}
	return e.Kind == Unavailable || e.Kind == RateLimited || e.Kind == Timeout
}

// kindOf prefers what the code says, for statuses differ between the doors.
func kindOf(c Code, otherwise Kind) Kind {
	if k := fault.Code(c).Kind(); k != Internal {
		return k
	}
	return otherwise
}

// ofContext is the error of a call that ended with its context.
func ofContext(err error) *Error {
	return &Error{Kind: Timeout, Code: ErrDeadlineExceeded, Message: "the call ended before there was an answer; it may or may not have taken effect", Err: err}
}

func badRequest(field, format string, args ...any) *Error {
	e := &Error{Kind: Invalid, Code: ErrBadRequest, Message: fmt.Sprintf(format, args...), Field: field}
	if field != "" {
		e.Fields = []FieldError{{field, e.Message}}
	}
	return e
}

var kindsOfStatus = map[int]Kind{
	http.StatusNotFound: NotFound, http.StatusConflict: Conflict, http.StatusUnauthorized: Unauthenticated,
	http.StatusForbidden: PermissionDenied, http.StatusRequestEntityTooLarge: TooLarge, http.StatusTooManyRequests: RateLimited,
	http.StatusServiceUnavailable: Unavailable, http.StatusBadGateway: Unavailable, http.StatusGatewayTimeout: Unavailable,
	http.StatusRequestTimeout: Timeout,
}

var kindsOfCode = map[codes.Code]Kind{
	codes.InvalidArgument: Invalid, codes.NotFound: NotFound, codes.AlreadyExists: Conflict, codes.FailedPrecondition: Refused,
	codes.Unauthenticated: Unauthenticated, codes.PermissionDenied: PermissionDenied, codes.Unavailable: Unavailable,
	codes.ResourceExhausted: RateLimited, codes.DeadlineExceeded: Timeout, codes.Canceled: Timeout, codes.OutOfRange: Invalid,
}
