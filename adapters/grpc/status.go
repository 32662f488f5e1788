package grpc

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// kinds maps what can go wrong to gRPC's codes.
var kinds = map[fault.Kind]codes.Code{
	fault.Internal:         codes.Internal,
	fault.Invalid:          codes.InvalidArgument,
	fault.NotFound:         codes.NotFound,
	fault.Conflict:         codes.AlreadyExists,
	fault.Refused:          codes.FailedPrecondition,
	fault.Unauthenticated:  codes.Unauthenticated,
	fault.PermissionDenied: codes.PermissionDenied,
	fault.TooLarge:         codes.InvalidArgument, // RESOURCE_EXHAUSTED is for rate limits alone
	fault.Unavailable:      codes.Unavailable,
	fault.RateLimited:      codes.ResourceExhausted,
	fault.Timeout:          codes.DeadlineExceeded,
}

type exception struct {
	op   app.Operation // empty for all
	code fault.Code
}

// exceptions are where the contract differs from the table above.
var exceptions = map[exception]codes.Code{
	{app.CreateTask, fault.CodeTemplateNotFound}:   codes.InvalidArgument,
	{app.GetStep, fault.CodeStepElsewhere}:         codes.InvalidArgument,
	{app.GetStepAudit, fault.CodeStepElsewhere}:    codes.InvalidArgument,
	{app.ResolveStep, fault.CodeStepElsewhere}:     codes.InvalidArgument,
	{app.ResolveStep, fault.CodeIllegalTransition}: codes.InvalidArgument,
	{"", fault.CodeClientClosed}:                   codes.Canceled,
}

func codeOf(op app.Operation, f *fault.Error) codes.Code {
	for _, e := range [...]exception{{op, f.Code}, {"", f.Code}} {
		if code, special := exceptions[e]; special {
			return code
		}
	}
	if code, known := kinds[f.Kind]; known {
		return code
	}
	return codes.Internal
}

// faultOf finds what can be said about an error. What is neither a fault nor an
// outage nor the end of the call is internal.
func faultOf(ctx context.Context, err error) *fault.Error {
	if known, ok := errors.AsType[*fault.Error](err); ok {
		return known
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fault.New(fault.CodeClientClosed, "the call was cancelled").Because(err)
	case ctx.Err() != nil:
		return fault.New(fault.CodeDeadlineExceeded,
			"the deadline of the call has passed; what it asked for may or may not have taken effect").Because(err)
	case ports.IsOutage(err):
		return fault.New(fault.CodeDatabaseDown, "the database cannot be reached").Later(outageWait).Because(err)
	default:
		return fault.Of(err)
	}
}

// Waits before another try: of an outage, and where the fault names none.
const (
	outageWait  = 2 * time.Second
	defaultWait = time.Second
)

// waitFor returns how long to wait before another try; 0 where that is no help.
func waitFor(f *fault.Error) time.Duration {
	if f.RetryAfter == 0 && (f.Kind == fault.Unavailable || f.Kind == fault.RateLimited) {
		return defaultWait
	}
	return f.RetryAfter
}

// seconds is a wait as the contract's metadata has it: whole seconds, at least
// one.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}

// domain is the domain of reasons in ErrorInfo.
const domain = "tasker"

// statusOf returns the status of a fault, with details for machines.
func statusOf(op app.Operation, f *fault.Error) error {
	s := status.New(codeOf(op, f), f.Message)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(f.Code), Domain: domain, Metadata: f.Meta}}
	if bad := violations(f); len(bad) > 0 {
		details = append(details, &errdetails.BadRequest{FieldViolations: bad})
	}
	if wait := waitFor(f); wait > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	if with, err := s.WithDetails(details...); err == nil {
		s = with
	}
	return s.Err()
}

// maxViolations is how many bytes of violations a status has. It travels in a
// header, of which many clients read no more than 8 KiB.
const maxViolations = 3 << 10

func violations(f *fault.Error) []*errdetails.BadRequest_FieldViolation {
	if len(f.Details) == 0 && f.Field != "" {
		return []*errdetails.BadRequest_FieldViolation{{Field: f.Field, Description: f.Message}}
	}
	out := make([]*errdetails.BadRequest_FieldViolation, 0, len(f.Details))
	size := 0
	for _, d := range f.Details {
		if size += len(d.Field) + len(d.Message); size > maxViolations {
			break
		}
		out = append(out, &errdetails.BadRequest_FieldViolation{Field: d.Field, Description: d.Message})
	}
	return out
}
