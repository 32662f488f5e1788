package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// rest is the transport over HTTP and JSON.
type rest struct {
	base      string
	http      *http.Client
	apiKey    string
	token     TokenSource
	userAgent string
}

func newREST(u *url.URL, o *options) *rest {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
	t.TLSClientConfig = o.tls
	t.MaxIdleConnsPerHost = 64 // all calls go to one host
	return &rest{
		base: strings.TrimRight(u.String(), "/"), apiKey: o.apiKey, token: o.token, userAgent: o.userAgent,
		// Keys would follow a redirect to wherever it leads.
		http: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

func (r *rest) close() error {
	r.http.CloseIdleConnections()
	return nil
}

// path joins the segments of a path.
func path(segments ...string) string {
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return "/" + strings.Join(segments, "/")
}

type request struct {
	method, path string
	query        url.Values
	body         any    // marshalled; nil for none
	text         string // a body of YAML
	header       map[string]string
}

// send makes a request; the body of the answer is the caller's to close. What is
// no success is an *Error.
func (r *rest) send(ctx context.Context, q request) (*http.Response, error) {
	var body io.Reader
	kind := "application/json"
	switch {
	case q.text != "":
		body, kind = strings.NewReader(q.text), "application/yaml"
	case q.body != nil:
		raw, err := json.Marshal(q.body)
		if err != nil {
			return nil, badRequest("", "the request cannot be written as JSON: %v", err)
		}
		body = bytes.NewReader(raw)
	}
	target := r.base + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target, body)
	if err != nil {
		return nil, badRequest("", "the request cannot be made: %v", err)
	}
	req.Header.Set("User-Agent", r.userAgent)
	req.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	for name, value := range q.header {
		req.Header.Set(name, value)
	}
	if r.apiKey != "" {
		req.Header.Set("X-Api-Key", r.apiKey)
	}
	if r.token != nil {
		token, err := r.token(ctx)
		if err != nil {
			return nil, &Error{Kind: Unauthenticated, Code: ErrUnauthenticated, Message: "there is no token", Err: err, before: true}
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer closeBody(resp)
		return nil, problemOf(resp)
	}
	return resp, nil
}

func closeBody(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // a read body lets the connection be used again
	_ = resp.Body.Close()
}

func unreachable(ctx context.Context, err error) *Error {
	if ctx.Err() != nil {
		return ofContext(ctx.Err())
	}
	e := &Error{Kind: Unavailable, Code: ErrUnreachable, Message: "the server did not answer", Err: err}
	var op *net.OpError
	e.before = errors.As(err, &op) && op.Op == "dial"
	return e
}

// problem is the body of an answer that is no success.
type problem struct {
	Detail   string `json:"detail"`
	Code     string `json:"code"`
	TaskUUID string `json:"task_uuid"`
	State    string `json:"state"`
	Errors   []struct {
		Field   string `json:"field"`
		Message string `json:"message"`
	} `json:"errors"`
	RetryAfterSeconds int                    `json:"retry_after_seconds"`
	Checks            map[string]HealthCheck `json:"checks"`
}

func problemOf(resp *http.Response) *Error {
	e := &Error{HTTPStatus: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id")}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	otherwise, known := kindsOfStatus[resp.StatusCode]
	if !known && resp.StatusCode < http.StatusInternalServerError {
		otherwise = Invalid
	}
	var p problem
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || json.Unmarshal(raw, &p) != nil || p.Code == "" {
		e.Kind, e.Code, e.Message = otherwise, ErrBadAnswer, "the answer is not that of a tasker server: "+resp.Status
		if otherwise == Unavailable || otherwise == Timeout {
			e.Code = ErrUnreachable
		}
		return e
	}
	e.Code, e.Message = Code(p.Code), p.Detail
	e.Kind, e.before = kindOf(e.Code, otherwise), untouched[e.Code]
	for _, f := range p.Errors {
		e.Fields = append(e.Fields, FieldError{f.Field, f.Message})
	}
	if len(e.Fields) > 0 {
		e.Field = e.Fields[0].Field
	}
	e.Meta = map[string]string{}
	for name, c := range p.Checks {
		if c.Status != "healthy" {
			e.Meta[name] = c.Status + ": " + c.Message
		}
	}
	for name, value := range map[string]string{"task_uuid": p.TaskUUID, "state": p.State} {
		if value != "" {
			e.Meta[name] = value
		}
	}
	return e
}

// untouched are the codes of what was refused before anything was done.
var untouched = map[Code]bool{
	ErrMailboxFull: true, ErrBreakerOpen: true, ErrRateLimited: true, ErrContended: true, ErrNotReady: true,
}

// fetch makes a request and reads its answer.
func fetch[T any](ctx context.Context, r *rest, q request) (T, error) {
	var out T
	resp, err := r.send(ctx, q)
	if err != nil {
		return out, err
	}
	defer closeBody(resp)
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return out, unreachable(ctx, err)
	}
	if len(raw) > maxAnswer {
		return out, &Error{Kind: TooLarge, Code: ErrBadAnswer, Message: fmt.Sprintf("the answer has more than %d bytes", maxAnswer), HTTPStatus: resp.StatusCode}
	}
	if _, nothing := any(out).(none); nothing || len(raw) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, &Error{Kind: Internal, Code: ErrBadAnswer, Message: "the answer cannot be read", HTTPStatus: resp.StatusCode, Err: err}
	}
	return out, nil
}

func get(segments ...string) request {
	return request{method: http.MethodGet, path: path(segments...)}
}

func post(body any, segments ...string) request {
	return request{method: http.MethodPost, path: path(segments...), body: body}
}

func remove(s Said, segments ...string) request {
	q := url.Values{}
	set(q, "reason", s.Reason)
	set(q, "by", s.By)
	return request{method: http.MethodDelete, path: path(segments...), query: q}
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func setTime(q url.Values, name string, t time.Time) {
	if !t.IsZero() {
		q.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
}
