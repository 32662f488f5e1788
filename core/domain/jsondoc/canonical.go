package jsondoc

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// CanonicalDepth is how deep a document may be to have a canonical text; it is
// above the depth of every limit that Tasker sets.
const CanonicalDepth = 128

// Canonical returns the one text that all spellings of a document share: keys
// of objects in byte order at every level, of equal keys the last, no white
// space, strings with the fewest escapes. Numbers are kept as they are spelled,
// so 1 and 1.0 and 1e0 differ, as they do in most programs that read them.
//
// The error is the fault of Check for a document that is not JSON, that cannot
// be stored or that is deeper than CanonicalDepth. The result shares no memory
// with raw.
func Canonical(raw []byte) ([]byte, error) {
	if err := Check("", raw, Limits{MaxDepth: CanonicalDepth}); err != nil {
		return nil, err
	}
	c := canonicaliser{raw: raw, out: make([]byte, 0, len(raw)), members: make([]member, 0, 16)}
	c.value()
	return c.out, nil
}

// canonicaliser rewrites a document that Check has accepted. It recurses: Check
// has bounded the depth.
type canonicaliser struct {
	raw     []byte
	at      int
	out     []byte
	members []member // of the objects that it is in, outermost first
	scratch []byte
}

// member is one key of an object, and where its text stands in out.
type member struct {
	key        []byte // decoded
	start, end int    // of `"key":value`
}

func (c *canonicaliser) value() {
	switch c.token() {
	case '{':
		c.object()
	case '[':
		c.array()
	case '"':
		c.text()
	default:
		for c.at < len(c.raw) && strings.IndexByte(" \t\r\n,]}", c.raw[c.at]) < 0 {
			c.take()
		}
	}
}

func (c *canonicaliser) array() {
	c.take()
	for c.token() != ']' {
		c.value()
		if c.token() == ',' {
			c.take()
		}
	}
	c.take()
}

func (c *canonicaliser) object() {
	c.take()
	first, base, sorted := len(c.out), len(c.members), true
	for c.token() != '}' {
		m := member{start: len(c.out)}
		m.key = c.text()
		c.token() // skips to the colon
		c.take()
		c.value()
		m.end = len(c.out)
		if n := len(c.members); n > base && bytes.Compare(c.members[n-1].key, m.key) >= 0 {
			sorted = false
		}
		c.members = append(c.members, m)
		if c.token() == ',' {
			c.take()
		}
	}
	if !sorted {
		c.sort(first, c.members[base:])
	}
	c.members = c.members[:base]
	c.take()
}

// sort rewrites the members, which stand in out from first on.
func (c *canonicaliser) sort(first int, members []member) {
	slices.SortStableFunc(members, func(a, b member) int { return bytes.Compare(a.key, b.key) })
	c.scratch = append(c.scratch[:0], c.out[first:]...)
	c.out = c.out[:first]
	for i, m := range members {
		if i+1 < len(members) && bytes.Equal(m.key, members[i+1].key) {
			continue
		}
		if len(c.out) > first {
			c.out = append(c.out, ',')
		}
		c.out = append(c.out, c.scratch[m.start-first:m.end-first]...)
	}
}

// text copies a string with the fewest escapes and returns what it stands for.
func (c *canonicaliser) text() []byte {
	c.token()
	start := c.at + 1
	end := start
	escaped := false
	for c.raw[end] != '"' {
		if c.raw[end] == '\\' {
			escaped = true
			end++
		}
		end++
	}
	c.at = end + 1
	raw := c.raw[start:end]
	c.out = append(c.out, '"')
	if escaped {
		raw = unquote(make([]byte, 0, len(raw)), raw)
		c.out = appendEscaped(c.out, raw)
	} else {
		c.out = append(c.out, raw...)
	}
	c.out = append(c.out, '"')
	return raw
}

// token skips white space and returns the byte that follows.
func (c *canonicaliser) token() byte {
	for strings.IndexByte(" \t\r\n", c.raw[c.at]) >= 0 {
		c.at++
	}
	return c.raw[c.at]
}

func (c *canonicaliser) take() {
	c.out = append(c.out, c.raw[c.at])
	c.at++
}

// unquote appends to dst what the inside of a string stands for. It copes with
// text that is not right, as paths in messages show such keys too.
func unquote(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' || i+1 == len(raw) {
			dst = append(dst, raw[i])
			i++
			continue
		}
		switch e := raw[i+1]; e {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(raw[i+2:])
			if r < 0 {
				return append(dst, raw[i:]...)
			}
			i += 6
			if isHigh(r) && len(raw) >= i+6 && raw[i] == '\\' && raw[i+1] == 'u' && isLow(hex4(raw[i+2:])) {
				r = (r-0xD800)<<10 + (hex4(raw[i+2:]) - 0xDC00) + 0x10000
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
			continue
		default:
			dst = append(dst, e)
		}
		i += 2
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// shortEscapes are the control characters that have an escape of two characters.
var shortEscapes = map[byte]byte{'\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}

func appendEscaped(dst, text []byte) []byte {
	for _, b := range text {
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b >= 0x20:
			dst = append(dst, b)
		default:
			if short := shortEscapes[b]; short != 0 {
				dst = append(dst, '\\', short)
				continue
			}
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
		}
	}
	return dst
}
