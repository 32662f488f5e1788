package http

import (
	"net/http"
	"slices"
	"strings"
)

// anyOrigin lets pages of every origin in.
const anyOrigin = "*"

// preflightSeconds is for how long a browser may keep what a preflight said.
const preflightSeconds = "600"

// exposedHeaders are those of answers that pages may read, beside the usual.
var exposedHeaders = strings.Join([]string{
	requestIDHeader, unknownFieldsHeader, "Location", "Retry-After", "X-Auth-Failure-Reason", "X-Auth-Failure-Severity",
}, ", ")

// allowOrigins lets pages of the configured origins call, and answers the
// preflights of their browsers. Others are answered as ever: it is browsers that
// keep the answer from a page. Credentials that a browser would send by itself
// are never allowed; there are none here.
func allowOrigins(cfg Config, keyHeader string, mux *http.ServeMux, next http.Handler) http.Handler {
	if len(cfg.AllowedOrigins) == 0 {
		return next
	}
	everybody := slices.Contains(cfg.AllowedOrigins, anyOrigin)
	requestHeaders := strings.Join([]string{
		"Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", requestIDHeader, keyHeader,
	}, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if !everybody {
			h.Add("Vary", "Origin")
		}
		origin := r.Header.Get("Origin")
		switch {
		case origin == "":
			next.ServeHTTP(w, r)
			return
		case everybody:
			h.Set("Access-Control-Allow-Origin", anyOrigin)
		case slices.Contains(cfg.AllowedOrigins, origin):
			h.Set("Access-Control-Allow-Origin", origin)
		default:
			next.ServeHTTP(w, r)
			return
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			if allowed := allowedMethods(mux, r); len(allowed) > 0 {
				h.Set("Access-Control-Allow-Methods", strings.Join(allowed, ", "))
				h.Set("Access-Control-Allow-Headers", requestHeaders)
				h.Set("Access-Control-Max-Age", preflightSeconds)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		h.Set("Access-Control-Expose-Headers", exposedHeaders)
		next.ServeHTTP(w, r)
	})
}
