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
	op   app.Operation
	code fault.Code
}

// exceptions are where the contract differs from the table above.
var exceptions = map[exception]codes.Code{
	{app.CreateTask, fault.CodeTemplateNotFound}: codes.InvalidArgument,
	{app.GetStep, fault.CodeStepElsewhere}:       codes.InvalidArgument,
}

// domain is the domain of reasons in ErrorInfo.
const domain = "tasker"

// statusOf returns the status of an error, with details for machines.
func statusOf(op app.Operation, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the call was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the deadline of the call has passed")
	case ports.IsOutage(err):
		err = fault.New(fault.CodeDatabaseDown, "the database cannot be reached; try again shortly").Later(2 * time.Second)
	}
	f := fault.Of(err)
	code, special := exceptions[exception{op, f.Code}]
	if !special {
		code = kinds[f.Kind]
	}
	s := status.New(code, f.Message)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(f.Code), Domain: domain, Metadata: f.Meta}}
	if bad := violations(f); len(bad) > 0 {
		details = append(details, &errdetails.BadRequest{FieldViolations: bad})
	}
	if f.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.RetryAfter)})
	}
	if with, err := s.WithDetails(details...); err == nil {
		s = with
	}
	return s.Err()
}

func violations(f *fault.Error) []*errdetails.BadRequest_FieldViolation {
	if len(f.Details) == 0 && f.Field != "" {
		return []*errdetails.BadRequest_FieldViolation{{Field: f.Field, Description: f.Message}}
	}
	out := make([]*errdetails.BadRequest_FieldViolation, 0, len(f.Details))
	for _, d := range f.Details {
		out = append(out, &errdetails.BadRequest_FieldViolation{Field: d.Field, Description: d.Message})
	}
	return out
}

// seconds is a wait as the contract's metadata has it: whole seconds, at least
// one.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
