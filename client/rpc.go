package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
)

// rpc is the transport over gRPC.
type rpc struct {
	conn   *grpc.ClientConn
	apiKey string
	token  TokenSource

	tasks     taskerv1.TaskServiceClient
	batches   taskerv1.BatchServiceClient
	steps     taskerv1.StepServiceClient
	templates taskerv1.TemplateServiceClient
	letters   taskerv1.DlqServiceClient
	operators taskerv1.OperatorServiceClient
	healths   taskerv1.HealthServiceClient
}

func newRPC(u *url.URL, o *options) (*rpc, error) {
	secure := insecure.NewCredentials()
	if strings.EqualFold(u.Scheme, "grpcs") {
		c := o.tls
		if c == nil {
			c = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		secure = credentials.NewTLS(c)
	}
	conn, err := grpc.NewClient(
		"dns:///"+u.Host,
		grpc.WithTransportCredentials(secure), grpc.WithUserAgent(o.userAgent),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)), grpc.WithDisableServiceConfig(),
		// A stream may be silent for long: this finds out that its server is gone.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: silence, Timeout: silence / 4}),
	)
	if err != nil {
		return nil, badRequest("", "the address of the server is not one for gRPC: %v", err)
	}
	return &rpc{
		conn: conn, apiKey: o.apiKey, token: o.token,
		tasks: taskerv1.NewTaskServiceClient(conn), batches: taskerv1.NewBatchServiceClient(conn),
		steps: taskerv1.NewStepServiceClient(conn), templates: taskerv1.NewTemplateServiceClient(conn),
		letters: taskerv1.NewDlqServiceClient(conn), operators: taskerv1.NewOperatorServiceClient(conn),
		healths: taskerv1.NewHealthServiceClient(conn),
	}, nil
}

func (r *rpc) close() error { return r.conn.Close() }

// with adds the credentials to a call.
func (r *rpc) with(ctx context.Context) (context.Context, error) {
	if r.apiKey != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-api-key", r.apiKey)
	}
	if r.token != nil {
		token, err := r.token(ctx)
		if err != nil {
			return nil, &Error{Kind: Unauthenticated, Code: ErrUnauthenticated, Message: "there is no token", Err: err, before: true}
		}
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return ctx, nil
}

// ask makes a call and reads its answer.
func ask[In, Out, T any](
	ctx context.Context, r *rpc, call func(context.Context, In, ...grpc.CallOption) (Out, error), in In, read func(Out) T,
) (T, error) {
	var zero T
	ctx, err := r.with(ctx)
	if err != nil {
		return zero, err
	}
	var header metadata.MD
	out, err := call(ctx, in, grpc.Header(&header))
	if err != nil {
		return zero, ofStatus(ctx, err, header)
	}
	return read(out), nil
}

func ofStatus(ctx context.Context, err error, header metadata.MD) *Error {
	s := status.Convert(err)
	e := &Error{Code: ErrUnreachable, Message: s.Message(), GRPCCode: s.Code()}
	if ids := header.Get("x-request-id"); len(ids) > 0 {
		e.RequestID = ids[0]
	}
	said := false
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			said = true
			e.Code, e.Meta = Code(d.GetReason()), d.GetMetadata()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Fields = append(e.Fields, FieldError{v.GetField(), v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	if e.Meta == nil {
		e.Meta = map[string]string{}
	}
	if len(e.Fields) > 0 {
		e.Field = e.Fields[0].Field
	}
	ended := ctx.Err()
	if s.Code() == codes.DeadlineExceeded { // the server knows the deadline, and may be the first to see that it has passed
		ended = context.DeadlineExceeded
	}
	if said && e.Code == ErrDeadlineExceeded {
		e.Err = ended
	}
	if !said {
		if ended != nil {
			e = ofContext(ended)
			e.GRPCCode = s.Code()
			return e
		}
		if s.Code() != codes.Unavailable {
			e.Code = ErrBadAnswer
		}
		e.before = s.Code() == codes.Unavailable && strings.Contains(s.Message(), "dial")
	}
	e.Kind = kindOf(e.Code, kindsOfCode[s.Code()])
	e.before = e.before || untouched[e.Code]
	return e
}

// object writes what marshals to a JSON object as a Struct; nil for nil.
func object(field string, v any) (*structpb.Struct, error) {
	if v == nil {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, badRequest(field, "%s cannot be written as JSON: %v", field, err)
	}
	if string(raw) == "null" {
		return nil, nil
	}
	s := &structpb.Struct{}
	if err := s.UnmarshalJSON(raw); err != nil {
		return nil, badRequest(field, "%s is not a JSON object", field)
	}
	return s, nil
}

func value(field string, v any) (*structpb.Value, error) {
	if v == nil {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, badRequest(field, "%s cannot be written as JSON: %v", field, err)
	}
	out := &structpb.Value{}
	if err := out.UnmarshalJSON(raw); err != nil {
		return nil, badRequest(field, "%s cannot be written as JSON: %v", field, err)
	}
	return out, nil
}

// jsonOf writes a Struct as JSON; nil for nil.
func jsonOf(s *structpb.Struct) JSON {
	if s == nil {
		return nil
	}
	raw, err := json.Marshal(s.AsMap())
	if err != nil {
		return nil // what a Struct holds can be written, but for NaN, which the server refuses
	}
	return raw
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func stampOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// given returns nil for what is empty.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func each[In, Out any](all []In, of func(In) Out) []Out {
	out := make([]Out, len(all))
	for i := range all {
		out[i] = of(all[i])
	}
	return out
}

// lower is the word of an enumeration in the contract's REST.
func lower(name, prefix string) string {
	if strings.HasSuffix(name, "_UNSPECIFIED") {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(name, prefix))
}

// number finds the number of a word. One that the contract does not have is given
// a number that it does not have either, so that the server says so.
func number[E ~int32](names map[string]int32, prefix, word string) E {
	if word == "" {
		return 0
	}
	if n, known := names[prefix+strings.ToUpper(word)]; known {
		return E(n)
	}
	return -1
}
