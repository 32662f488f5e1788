package http

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

const problemType = "application/problem+json"

// Problem is the body of every answer that is not a success: RFC 9457, with
// the error object of older clients in it.
type Problem struct {
	Type     string        `json:"type" doc:"Always about:blank: code tells problems apart." example:"about:blank"`
	Title    string        `json:"title" doc:"The name of the status." example:"Conflict"`
	Status   int           `json:"status" doc:"The status of the answer." example:"409"`
	Detail   string        `json:"detail" doc:"What is wrong and what would be right, for people."`
	Instance string        `json:"instance,omitempty" doc:"The id of the request, as in the server's log." example:"urn:uuid:0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e"`
	Code     string        `json:"code" doc:"What is wrong, for machines. Codes are never renamed." example:"task_exists"`
	Errors   []ProblemItem `json:"errors,omitempty" nullable:"false" doc:"Each input that is to blame."`
	// The facts that faults carry for machines.
	TaskUUID          string       `json:"task_uuid,omitempty" format:"uuid" doc:"With task_exists: the task that has the identity."`
	State             string       `json:"state,omitempty" doc:"Where the state of the task is in the way: the state."`
	RetryAfterSeconds int          `json:"retry_after_seconds,omitempty" doc:"How long to wait before another try, as in Retry-After."`
	Legacy            ProblemError `json:"error" doc:"The same for clients of the older form."`
	// Readiness says why the server is not ready.
	Checks map[string]HealthCheck `json:"checks,omitempty" doc:"With not_ready: the state of each part."`
	Info   *HealthFacts           `json:"info,omitempty" doc:"With not_ready: facts about the server."`

	header http.Header
}

// ProblemItem is one input to blame.
type ProblemItem struct {
	Field   string `json:"field" doc:"The field, as a dotted path, or the parameter." example:"context.items[2].sku"`
	Message string `json:"message" doc:"What is wrong and what would be right."`
}

// ProblemError is a problem in the form of older clients.
type ProblemError struct {
	Code              string `json:"code" example:"CONFLICT"`
	Message           string `json:"message"`
	RetryAfterSeconds int    `json:"retry_after_seconds,omitempty"`
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType implements huma.ContentTypeFilter.
func (*Problem) ContentType(string) string { return problemType }

// answer is how a fault is told: its status, and the code of older clients.
type answer struct {
	status int
	code   string
}

// statusClientClosed is for requests whose client has gone: nobody reads it,
// and the log shows it.
const statusClientClosed = 499

// byKind is how faults are told; byCode and byOperation hold the exceptions.
var byKind = map[fault.Kind]answer{
	fault.Internal:         {http.StatusInternalServerError, "INTERNAL_ERROR"},
	fault.Invalid:          {http.StatusBadRequest, "BAD_REQUEST"},
	fault.NotFound:         {http.StatusNotFound, "NOT_FOUND"},
	fault.Conflict:         {http.StatusConflict, "CONFLICT"},
	fault.Refused:          {http.StatusBadRequest, "BAD_REQUEST"},
	fault.Unauthenticated:  {http.StatusUnauthorized, "AUTHENTICATION_FAILED"},
	fault.PermissionDenied: {http.StatusForbidden, "AUTHORIZATION_FAILED"},
	fault.TooLarge:         {http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE"},
	fault.Unavailable:      {http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE"},
	fault.RateLimited:      {http.StatusTooManyRequests, "RATE_LIMITED"},
	fault.Timeout:          {http.StatusRequestTimeout, "TIMEOUT"},
}

var byCode = map[fault.Code]answer{
	fault.CodeInvalidUUID:      {http.StatusBadRequest, "INVALID_UUID"},
	fault.CodeUnsupportedMedia: {http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"},
	fault.CodeMethodNotAllowed: {http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
	fault.CodeMailboxFull:      {http.StatusServiceUnavailable, "BACKPRESSURE"},
	fault.CodeBreakerOpen:      {http.StatusServiceUnavailable, "CIRCUIT_BREAKER_OPEN"},
	fault.CodeClientClosed:     {statusClientClosed, "CLIENT_CLOSED_REQUEST"},
}

// byOperation keeps to what the contract says of single routes.
var byOperation = map[app.Operation]map[fault.Code]answer{
	app.CreateTask: {fault.CodeInvalidUUID: {http.StatusBadRequest, "BAD_REQUEST"}},
	app.ListSteps:  {fault.CodeInvalidUUID: {http.StatusBadRequest, "BAD_REQUEST"}},
	app.GetStep:    {fault.CodeInvalidUUID: {http.StatusBadRequest, "BAD_REQUEST"}},

	app.ResolveStep:  {fault.CodeInvalidUUID: {http.StatusBadRequest, "BAD_REQUEST"}},
	app.GetStepAudit: {fault.CodeInvalidUUID: {http.StatusBadRequest, "BAD_REQUEST"}},
}

func answerTo(op app.Operation, f *fault.Error) answer {
	if a, ok := byOperation[op][f.Code]; ok {
		return a
	}
	if a, ok := byCode[f.Code]; ok {
		return a
	}
	if a, ok := byKind[f.Kind]; ok {
		return a
	}
	return byKind[fault.Internal]
}

// outageWait is how long clients are asked to wait for a database.
const outageWait = 2 * time.Second

// faultOf finds what can be said about an error. What is neither a fault nor an
// outage nor the end of the request is internal.
func faultOf(ctx context.Context, err error) *fault.Error {
	if known, ok := errors.AsType[*fault.Error](err); ok {
		return known
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fault.New(fault.CodeClientClosed, "the client closed the request").Because(err)
	case ctx.Err() != nil:
		return fault.New(fault.CodeDeadlineExceeded,
			"the request took too long; what it asked for may or may not have taken effect").Because(err)
	case ports.IsOutage(err):
		return fault.New(fault.CodeDatabaseDown, "the database cannot be reached").Later(outageWait).Because(err)
	default:
		return fault.Of(err)
	}
}

// problemOf is the one way from a fault to a body.
func problemOf(ctx context.Context, op app.Operation, f *fault.Error) *Problem {
	a := answerTo(op, f)
	p := &Problem{
		Type: "about:blank", Title: title(a.status), Status: a.status, Detail: f.Message, Code: string(f.Code),
		TaskUUID: f.Meta["task_uuid"], State: f.Meta["state"],
		Legacy: ProblemError{Code: a.code, Message: f.Message},
		header: http.Header{},
	}
	if c := callOf(ctx); c != nil {
		p.Instance = instanceOf(c.id)
	}
	for _, d := range f.Details {
		p.Errors = append(p.Errors, ProblemItem{Field: d.Field, Message: d.Message})
	}
	if len(p.Errors) == 0 && f.Field != "" {
		p.Errors = []ProblemItem{{Field: f.Field, Message: f.Message}}
	}
	if f.RetryAfter > 0 {
		p.RetryAfterSeconds = int(max(1, (f.RetryAfter+time.Second-1)/time.Second))
		p.Legacy.RetryAfterSeconds = p.RetryAfterSeconds
		p.header.Set("Retry-After", strconv.Itoa(p.RetryAfterSeconds))
	}
	if f.Kind == fault.Unauthenticated || f.Kind == fault.PermissionDenied {
		explainRefusal(p.header, f)
	}
	return p
}

func title(status int) string {
	if t := http.StatusText(status); t != "" {
		return t
	}
	return "Client Closed Request"
}

// writeProblem answers where huma is not at hand.
func writeProblem(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	p := problemOf(r.Context(), "", f)
	h := w.Header()
	for name, values := range p.header {
		h[name] = values
	}
	h.Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // where it cannot be written, nobody is there to be told
}

// problemOfHuma tells what huma itself finds wrong. Of its details only the
// place and the rule are kept, never the value.
func problemOfHuma(hctx huma.Context, status int, message string, errs ...error) huma.StatusError {
	if hctx == nil { // asked for its type alone
		return &Problem{Status: status}
	}
	f := faultOfHuma(status, message, errs)
	op := app.Operation(hctx.Operation().OperationID)
	logFault(hctx.Context(), op, f)
	p := problemOf(hctx.Context(), op, f)
	for name, values := range p.header {
		for _, v := range values {
			hctx.SetHeader(name, v)
		}
	}
	return p
}

func faultOfHuma(status int, message string, errs []error) *fault.Error {
	if len(errs) == 1 {
		if f, ok := errors.AsType[*fault.Error](errs[0]); ok { // from huma.WriteErr in this package
			return f
		}
	}
	switch {
	case status == http.StatusRequestTimeout:
		return fault.New(fault.CodeDeadlineExceeded, "the body of the request did not arrive in time")
	case status == http.StatusRequestEntityTooLarge:
		return fault.New(fault.CodePayloadTooLarge, "the body of the request is too large")
	case status == http.StatusBadRequest && len(errs) == 0:
		return fault.New(fault.CodeMalformed, "the body of the request is empty")
	case status >= http.StatusInternalServerError && message == "cannot read request body":
		return fault.New(fault.CodeMalformed, "the body of the request breaks off").Because(errors.Join(errs...))
	case status >= http.StatusInternalServerError:
		return fault.Of(errors.Join(errs...))
	}
	f := fault.New(fault.CodeInvalidField, "the request is not valid")
	for _, err := range errs {
		d, ok := errors.AsType[*huma.ErrorDetail](err)
		if !ok {
			continue
		}
		_, field, _ := strings.Cut(d.Location, ".") // "query.page"
		f.Details = append(f.Details, fault.Detail{Field: field, Message: field + ": " + d.Message})
	}
	if len(f.Details) > 0 {
		f.Field, f.Message = f.Details[0].Field, f.Details[0].Message
	}
	return f
}
