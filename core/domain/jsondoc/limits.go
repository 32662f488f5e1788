// Package jsondoc says which JSON documents of callers are accepted, and gives
// them one canonical text. It knows nothing of what the documents mean.
package jsondoc

import (
	"strings"
	"unicode/utf8"

	"github.com/tasker-go/tasker/core/domain/fault"
)

// Limits bound a document. A limit of zero is none, except that MaxDepth has
// to be given: it is what keeps every reader of the document safe.
type Limits struct {
	MaxBytes  int // size of the whole document, in bytes
	MaxDepth  int // objects and arrays within each other; a document {} has depth 1
	MaxKeys   int // members of one object
	MaxItems  int // items of one array
	MaxString int // characters of one string or key
}

// DefaultMaxBytes is the largest document accepted when nothing else is
// configured: 1 MiB.
const DefaultMaxBytes = 1 << 20

// ContextLimits returns the limits of what people and programs send with a
// task: its context and options.
func ContextLimits() Limits {
	return Limits{MaxBytes: DefaultMaxBytes, MaxDepth: 10, MaxKeys: 1000, MaxItems: 1000, MaxString: 10_000}
}

// ResultLimits returns the limits of what handlers report. Results carry data,
// so only their size and depth are bounded.
func ResultLimits() Limits {
	return Limits{MaxBytes: DefaultMaxBytes, MaxDepth: 64}
}

// CheckText refuses a plain string that PostgreSQL cannot keep or that has more
// than maxLen characters; maxLen zero is no limit. The error is a fault that
// blames field.
func CheckText(field, s string, maxLen int) error {
	if !utf8.ValidString(s) {
		return fault.In(field, fault.CodeMalformed, "%s is not valid UTF-8", field)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return fault.In(field, fault.CodeInvalidField, "%s has a NUL character, which cannot be stored; leave it out", field)
	}
	if maxLen > 0 && len(s) > maxLen {
		if n := utf8.RuneCountInString(s); n > maxLen {
			return fault.In(field, fault.CodeInvalidField, "%s has %d characters, want at most %d", field, n, maxLen)
		}
	}
	return nil
}
