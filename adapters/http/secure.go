package http

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/app"
)

// strictTransport has browsers come back over TLS alone, for a year.
const strictTransport = "max-age=31536000"

// setSecurityHeaders sets what stands on every answer. The pages of the
// documentation have a content security policy of their own.
func setSecurityHeaders(h http.Header, r *http.Request) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", strictTransport)
	}
}

// requestID returns the id that the client gave its request, or a new one.
func requestID(r *http.Request) string {
	if given := r.Header.Values(requestIDHeader); len(given) == 1 && app.SoundRequestID(given[0]) {
		return given[0]
	}
	return uuid.NewString()
}

// instanceOf returns the id of a request as a URI.
func instanceOf(id string) string {
	if _, err := uuid.Parse(id); err == nil {
		return "urn:uuid:" + id
	}
	return "urn:x-request-id:" + id
}

// certificateOf returns whose certificate the client of a request presented;
// empty for none. It says who it is, and allows nothing.
func certificateOf(cfg Config, r *http.Request) string {
	if r.TLS == nil || cfg.Identity == nil {
		return ""
	}
	return cfg.Identity(*r.TLS)
}
