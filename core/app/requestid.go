package app

import "context"

// Bounds of an id that a client gives its request. A shorter one tells nothing
// apart, and a longer one fills the log.
const (
	minRequestID = 8
	maxRequestID = 128
)

// SoundRequestID reports whether a door may use the id that a client gave its
// request: 8 to 128 letters, digits, dots, underscores and hyphens of ASCII.
func SoundRequestID(id string) bool {
	if len(id) < minRequestID || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

type requestIDKey struct{}

// WithRequestID returns the context of a request that has the id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestIDOf returns the id of the request that is worked on; empty where there
// is none.
func RequestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
