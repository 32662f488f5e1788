package http

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// requestIDHeader stands on every answer.
const requestIDHeader = "X-Request-Id"

// call is what a request carries along: who it is, and who asks.
type call struct {
	id          string
	remote      string // host:port of the client
	log         *slog.Logger
	principal   access.Principal // set before the body is read
	certificate string           // whose the client presented; empty for none
	client      context.Context  //nolint:containedctx // ends when the client is gone, whatever the request's time
	connection  *http.ResponseController
}

type callKey struct{}

// callOf returns the call of a request, or nil outside of one.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// logFault says in the log what the answer does not say.
func logFault(ctx context.Context, op app.Operation, f *fault.Error) {
	c := callOf(ctx)
	if c == nil {
		return
	}
	switch {
	case f.Kind == fault.Internal:
		c.log.ErrorContext(ctx, "request failed", "operation", string(op), "request_id", c.id, "error", f.Error())
	case f.Err != nil:
		c.log.WarnContext(ctx, "request refused", "operation", string(op), "request_id", c.id, "code", string(f.Code), "error", f.Err)
	}
}

// recorder remembers whether an answer was begun.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// frame is around everything: it names the request, bounds its time, and sees
// to it that each has an answer.
func frame(cfg Config, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		began := time.Now()
		c := &call{remote: r.RemoteAddr, id: requestID(r), log: log, certificate: certificateOf(cfg, r)}
		ctx := app.WithRequestID(context.WithValue(r.Context(), callKey{}, c), c.id)
		ctx, cancel := context.WithTimeout(ctx, cfg.RequestTimeout)
		defer cancel()
		w := &recorder{ResponseWriter: out}
		c.client, c.connection = r.Context(), http.NewResponseController(w)
		r = r.WithContext(ctx)
		defer func() {
			if p := recover(); p != nil {
				panicked(w, r, c, p)
			}
			log.DebugContext(ctx, "request", "method", r.Method, "route", r.Pattern, "status", w.status,
				"duration", time.Since(began), "request_id", c.id, "certificate", c.certificate)
		}()
		h := w.Header()
		h.Set(requestIDHeader, c.id)
		setSecurityHeaders(h, r)
		next.ServeHTTP(w, r)
	})
}

func tooLarge(limit int64) *fault.Error {
	return fault.New(fault.CodePayloadTooLarge, "the body of the request is too large, want at most %d bytes", limit)
}

// panicked answers a request whose handler panicked. Where the answer was begun
// the connection is cut, so that nobody takes half of it for the whole.
func panicked(w *recorder, r *http.Request, c *call, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint,err113 // a value that stands for itself
		panic(p)
	}
	c.log.ErrorContext(r.Context(), "a request panicked", "request_id", c.id, "route", r.Pattern, "panic", p,
		"stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	writeProblem(w, r, fault.Of(nil))
}

// methods are those that routes may have.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

// notRouted answers what no route answers: other paths, and other methods.
func notRouted(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		allowed := allowedMethods(mux, r)
		if len(allowed) == 0 {
			writeProblem(w, r, noRoute())
			return
		}
		for _, m := range allowed {
			w.Header().Add("Allow", m)
		}
		writeProblem(w, r, fault.New(fault.CodeMethodNotAllowed, "this path does not take the method; see the Allow header"))
	}
}

// allowedMethods returns the methods that the path of a request takes.
func allowedMethods(mux *http.ServeMux, r *http.Request) []string {
	var allowed []string
	for _, m := range methods {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := mux.Handler(probe); pattern != everything && pattern != "" {
			allowed = append(allowed, m)
		}
	}
	return allowed
}

func noRoute() *fault.Error {
	return fault.New(fault.CodeRouteNotFound, "there is nothing at this path; see /docs")
}

// everything is the pattern of what no route answers.
const everything = "/"

// clean refuses paths that net/http would redirect: the API has one spelling.
func clean(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Path; p == "" || p[0] != '/' || p != path.Clean(p) {
			writeProblem(w, r, noRoute())
			return
		}
		next.ServeHTTP(w, r)
	})
}
