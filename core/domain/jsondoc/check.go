package jsondoc

import (
	"strings"
	"unicode/utf8"

	"github.com/tasker-go/tasker/core/domain/fault"
)

// Check refuses a document that is not JSON, that PostgreSQL's jsonb cannot
// keep (NUL, lone surrogates, numbers beyond its numeric) or that is over a
// limit. It reads once, stops at the first problem, and needs no memory that
// grows with the document. The error is a fault that blames the dotted path,
// which starts with field, and never repeats a value.
func Check(field string, raw []byte, l Limits) error {
	if l.MaxBytes > 0 && len(raw) > l.MaxBytes {
		return fault.In(field, fault.CodePayloadTooLarge, "%s has %d bytes, want at most %d", field, len(raw), l.MaxBytes)
	}
	s := scanner{field: field, raw: raw, limits: l}
	if err := s.document(); err != nil {
		return err
	}
	return nil
}

// frame is an object or array that the scanner is inside of.
type frame struct {
	keyAt, keyEnd int // the present member's key, without its quotes; keyAt -1 while it is being read
	n             int // members or items begun
	object        bool
}

// scanner walks one document without recursion: depth costs frames, not stack,
// and the number of frames is bounded by the limit.
type scanner struct {
	field  string
	raw    []byte
	at     int
	limits Limits

	// The containers that the scanner is in. Few documents are deeper than near;
	// for those, no memory is taken from the heap.
	depth int
	near  [16]frame
	far   []frame
}

func (s *scanner) push(f frame) {
	if s.depth < len(s.near) {
		s.near[s.depth] = f
	} else {
		s.far = append(s.far[:s.depth-len(s.near)], f)
	}
	s.depth++
}

// frame returns the container at depth i, counted from 0.
func (s *scanner) frame(i int) *frame {
	if i < len(s.near) {
		return &s.near[i]
	}
	return &s.far[i-len(s.near)]
}

func (s *scanner) top() *frame { return s.frame(s.depth - 1) }

func (s *scanner) document() *fault.Error {
	for {
		opened, err := s.value()
		if err != nil {
			return err
		}
		if opened {
			continue
		}
		// A value has ended: go on with the container it is in, or with the one around that.
		for {
			if s.depth == 0 {
				if s.space(); s.at < len(s.raw) {
					return s.malformed("want nothing after the document")
				}
				return nil
			}
			closed, err := s.next()
			if err != nil {
				return err
			}
			if !closed {
				break
			}
		}
	}
}

// value reads a scalar, an empty container, or the opening of one that is not
// empty, up to its first value; then opened is true.
func (s *scanner) value() (opened bool, err *fault.Error) {
	s.space()
	switch c := s.peek(); c {
	case '{', '[':
		return s.open(c == '{')
	case '"':
		s.at++
		return false, s.text("string")
	case 't':
		return false, s.literal("true")
	case 'f':
		return false, s.literal("false")
	case 'n':
		return false, s.literal("null")
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return false, s.number()
		}
		return false, s.malformed("want a value")
	}
}

func (s *scanner) open(object bool) (opened bool, err *fault.Error) {
	if s.depth >= s.limits.MaxDepth {
		return false, s.fail(fault.CodeInvalidField, "is nested too deeply, want at most %d levels", s.limits.MaxDepth)
	}
	s.at++
	s.space()
	end := byte(']')
	if object {
		end = '}'
	}
	if s.peek() == end {
		s.at++
		return false, nil
	}
	if object {
		s.push(frame{object: true})
		return true, s.key()
	}
	s.push(frame{n: 1})
	return true, nil
}

// next reads what follows a value inside a container: its end, or a comma and
// what comes before the next value.
func (s *scanner) next() (closed bool, err *fault.Error) {
	s.space()
	f := s.top()
	switch c := s.peek(); {
	case c == ',' && f.object:
		s.at++
		s.space()
		return false, s.key()
	case c == ',':
		if f.n++; s.limits.MaxItems > 0 && f.n > s.limits.MaxItems {
			s.depth-- // to blame is the array, not the item
			return false, s.fail(fault.CodeInvalidField, "has too many items, want at most %d", s.limits.MaxItems)
		}
		s.at++
		return false, nil
	case c == '}' && f.object, c == ']' && !f.object:
		s.at++
		s.depth--
		return true, nil
	case f.object:
		return false, s.malformed("want a comma or the object's closing brace")
	default:
		return false, s.malformed("want a comma or the array's closing bracket")
	}
}

// key reads a member's key and the colon behind it.
func (s *scanner) key() *fault.Error {
	f := s.top()
	f.keyAt = -1
	if f.n++; s.limits.MaxKeys > 0 && f.n > s.limits.MaxKeys {
		return s.fail(fault.CodeInvalidField, "has too many keys, want at most %d", s.limits.MaxKeys)
	}
	if s.peek() != '"' {
		return s.malformed("want a key in double quotes")
	}
	s.at++
	start := s.at
	if err := s.text("key"); err != nil {
		return err
	}
	f.keyAt, f.keyEnd = start, s.at-1
	s.space()
	if s.peek() != ':' {
		return s.malformed("want a colon after the key")
	}
	s.at++
	return nil
}

// plain marks the bytes of a string that need no thought.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// text reads a string whose opening quote has been read. what is "string" or
// "key".
func (s *scanner) text(what string) *fault.Error {
	start := s.at
	for s.at < len(s.raw) {
		c := s.raw[s.at]
		switch {
		case plain[c]:
			s.at++
		case c == '"':
			s.at++
			return s.length(what, s.raw[start:s.at-1])
		case c == '\\':
			if err := s.escape(what); err != nil {
				return err
			}
		case c == 0:
			return s.nul(what)
		case c < 0x20:
			return s.malformed("want control characters in a " + what + " written as \\u escapes")
		default:
			r, size := utf8.DecodeRune(s.raw[s.at:])
			if r == utf8.RuneError && size == 1 {
				return s.fail(fault.CodeMalformed, "has a %s that is not valid UTF-8 (byte %d)", what, s.at)
			}
			s.at += size
		}
	}
	return s.malformed("want the closing quote of a " + what)
}

// length checks a string by its raw text, which is never shorter than what it
// stands for: short ones need no counting.
func (s *scanner) length(what string, raw []byte) *fault.Error {
	limit := s.limits.MaxString
	if limit == 0 || len(raw) <= limit {
		return nil
	}
	n := 0
	for i := 0; i < len(raw); n++ {
		switch {
		case raw[i] != '\\':
			_, size := utf8.DecodeRune(raw[i:])
			i += size
		case raw[i+1] != 'u':
			i += 2
		case isHigh(hex4(raw[i+2:])):
			i += 12 // text has seen to it that the second half follows
		default:
			i += 6
		}
	}
	if n > limit {
		return s.fail(fault.CodeInvalidField, "has a %s of %d characters, want at most %d", what, n, limit)
	}
	return nil
}

// escape reads one escape, or the two of a surrogate pair.
func (s *scanner) escape(what string) *fault.Error {
	rest := s.raw[s.at+1:]
	if len(rest) == 0 {
		return s.malformed("want the closing quote of a " + what)
	}
	if rest[0] != 'u' {
		if strings.IndexByte(`"\/bfnrt`, rest[0]) < 0 {
			return s.malformed("want one of the escapes of JSON after a backslash")
		}
		s.at += 2
		return nil
	}
	r := hex4(rest[1:])
	switch {
	case r < 0:
		return s.malformed("want four hexadecimal digits after \\u")
	case r == 0:
		return s.nul(what)
	case isHigh(r):
		if len(rest) < 11 || rest[5] != '\\' || rest[6] != 'u' || !isLow(hex4(rest[7:])) {
			return s.surrogate(what)
		}
		s.at += 12
	case isLow(r):
		return s.surrogate(what)
	default:
		s.at += 6
	}
	return nil
}

func isHigh(r rune) bool { return 0xD800 <= r && r < 0xDC00 }
func isLow(r rune) bool  { return 0xDC00 <= r && r < 0xE000 }

// hex4 returns the number that four hexadecimal digits stand for, or -1.
func hex4(digits []byte) rune {
	if len(digits) < 4 {
		return -1
	}
	var r rune
	for _, c := range digits[:4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

func (s *scanner) literal(word string) *fault.Error {
	if len(s.raw)-s.at < len(word) || string(s.raw[s.at:s.at+len(word)]) != word {
		return s.malformed("want a value")
	}
	s.at += len(word)
	return nil
}

func (s *scanner) space() {
	for s.at < len(s.raw) {
		switch s.raw[s.at] {
		case ' ', '\n', '\r', '\t':
			s.at++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end; a NUL in the text is as wrong as
// its end wherever peek is used.
func (s *scanner) peek() byte {
	if s.at < len(s.raw) {
		return s.raw[s.at]
	}
	return 0
}

func (s *scanner) malformed(want string) *fault.Error {
	if s.at >= len(s.raw) {
		return s.fail(fault.CodeMalformed, "is not JSON: it ends after %d bytes, %s", len(s.raw), want)
	}
	return s.fail(fault.CodeMalformed, "is not JSON: at byte %d, %s", s.at, want)
}

func (s *scanner) nul(what string) *fault.Error {
	return s.fail(fault.CodeInvalidField, "has a NUL character in a %s, which cannot be stored; leave it out", what)
}

func (s *scanner) surrogate(what string) *fault.Error {
	return s.fail(fault.CodeInvalidField, "has half of a surrogate pair in a %s, want both halves or neither", what)
}

// fail returns a fault that blames the value that the scanner is at.
func (s *scanner) fail(code fault.Code, format string, args ...any) *fault.Error {
	// A copy, as a scanner whose text lived on would take its frames to the heap.
	path := strings.Clone(s.field)
	for i := range s.depth {
		f := s.frame(i)
		if f.object && f.keyAt < 0 {
			break // to blame is the object, as the key is not known
		}
		if f.object {
			path = Key(path, string(unquote(nil, s.raw[f.keyAt:f.keyEnd])))
		} else {
			path = Item(path, f.n-1)
		}
	}
	name := path
	if name == "" {
		name = "the document"
	}
	e := fault.In(path, code, format, args...)
	e.Message = name + " " + e.Message
	return e
}
