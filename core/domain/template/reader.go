package template

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

// reader gathers what is wrong while values are taken from a document, so that
// all of it is told at once. A value of a wrong type reads as if it were absent.
type reader struct {
	problems, warnings []fault.Detail
	broken             map[string]bool // the fields with problems
}

func (r *reader) blame(path, format string, args ...any) {
	if r.broken == nil {
		r.broken = make(map[string]bool)
	}
	r.broken[path] = true
	r.problems = append(r.problems, fault.Detail{Field: path, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) warn(path, format string, args ...any) {
	r.warnings = append(r.warnings, fault.Detail{Field: path, Message: fmt.Sprintf(format, args...)})
}

// blamed reports whether field, or what it is part of, has a problem already,
// so that its value says nothing.
func (r *reader) blamed(field string) bool {
	if r.broken[field] || r.broken[""] {
		return true
	}
	for i := 1; i < len(field); i++ {
		if (field[i] == '.' || field[i] == '[') && r.broken[field[:i]] {
			return true
		}
	}
	return false
}

// object is an object of the document. An absent one has no fields.
type object struct {
	r      *reader
	path   string
	fields map[string]json.RawMessage
	known  []string // the keys that were asked for
}

func (r *reader) object(path string, raw json.RawMessage) *object {
	o := &object{r: r, path: path}
	if raw == nil || r.is(path, raw, "a map") {
		r.must(path, raw, &o.fields)
	}
	return o
}

// kindOf says what a value is, in the words of a template's author.
func kindOf(raw json.RawMessage) string {
	for _, c := range raw {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '{':
			return "a map"
		case '[':
			return "a list"
		case '"':
			return "text"
		case 't', 'f':
			return "true or false"
		case 'n':
			return "nothing"
		default:
			return "a number"
		}
	}
	return "nothing"
}

// is reports whether raw is of the kind, and blames it if not.
func (r *reader) is(path string, raw json.RawMessage, want string) bool {
	got := kindOf(raw)
	switch {
	case got == want:
		return true
	case want == "text" && got != "a map" && got != "a list":
		r.blame(path, "is %s, want text: put it in quotes", got)
	default:
		r.blame(path, "is %s, want %s", got, want)
	}
	return false
}

// must decodes a value whose kind is known to fit.
func (r *reader) must(path string, raw json.RawMessage, into any) {
	if raw == nil {
		return
	}
	if err := json.Unmarshal(raw, into); err != nil {
		r.blame(path, "cannot be read")
	}
}

// take returns the value under key or its alias; null is as good as absent.
func (o *object) take(key string, alias ...string) (raw json.RawMessage, path string) {
	path = jsondoc.Key(o.path, key)
	for _, k := range append([]string{key}, alias...) {
		if !slices.Contains(o.known, k) {
			o.known = append(o.known, k)
		}
		v, found := o.fields[k]
		if !found || kindOf(v) == "nothing" {
			continue
		}
		if raw != nil {
			o.r.blame(jsondoc.Key(o.path, k), "is another name for %s, want one of the two", key)
			continue
		}
		raw, path = v, jsondoc.Key(o.path, k)
	}
	return raw, path
}

func (o *object) has(key string) bool {
	raw, _ := o.take(key)
	return raw != nil
}

func (o *object) text(key string, alias ...string) string {
	raw, path := o.take(key, alias...)
	return o.r.text(path, raw)
}

func (r *reader) text(path string, raw json.RawMessage) string {
	var s string
	if raw != nil && r.is(path, raw, "text") {
		r.must(path, raw, &s)
	}
	return s
}

func (o *object) texts(key string, alias ...string) []string {
	raw, path := o.take(key, alias...)
	var all []string
	for i, item := range o.r.items(path, raw) {
		itemPath := jsondoc.Item(path, i)
		if kindOf(item) == "nothing" {
			o.r.blame(itemPath, "is empty, want text")
			continue
		}
		all = append(all, o.r.text(itemPath, item))
	}
	return all
}

func (r *reader) items(path string, raw json.RawMessage) []json.RawMessage {
	var items []json.RawMessage
	if raw != nil && r.is(path, raw, "a list") {
		r.must(path, raw, &items)
	}
	return items
}

// list reads each object of a list.
func list[T any](o *object, key string, read func(*object) T) []T {
	raw, path := o.take(key)
	var all []T
	for i, item := range o.r.items(path, raw) {
		child := o.r.object(jsondoc.Item(path, i), item)
		all = append(all, read(child))
		child.end()
	}
	return all
}

// number reads a whole number, or absent when there is none.
func (o *object) number(key string, absent int) int {
	raw, path := o.take(key)
	if raw == nil || !o.r.is(path, raw, "a number") {
		return absent
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 32)
	if err == nil {
		return int(n)
	}
	if f, err := strconv.ParseFloat(strings.TrimSpace(string(raw)), 64); err == nil && f == math.Trunc(f) && math.Abs(f) <= math.MaxInt32 {
		return int(f)
	}
	o.r.blame(path, "is not a whole number of at most %d", math.MaxInt32)
	return absent
}

// fraction reads a number, or nil when there is none.
func (o *object) fraction(key string) *float64 {
	raw, path := o.take(key)
	if raw == nil || !o.r.is(path, raw, "a number") {
		return nil
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(string(raw)), 64)
	if err != nil {
		o.r.blame(path, "is beyond the numbers that can be read")
		return nil
	}
	if f == 0 {
		f = 0 // minus zero means the same, and must not be spelled otherwise
	}
	return &f
}

// limit reads a whole number where 0 stands for none: an author who writes 0
// may mean anything.
func (o *object) limit(key string) int {
	n := o.number(key, 0)
	if raw, path := o.take(key); raw != nil && n == 0 && !o.r.blamed(path) {
		o.r.blame(path, "is 0, want at least 1, or leave it out")
	}
	return n
}

func (o *object) flag(key string, absent bool) bool {
	if b := o.optionalFlag(key); b != nil {
		return *b
	}
	return absent
}

func (o *object) optionalFlag(key string) *bool {
	raw, path := o.take(key)
	if raw == nil || !o.r.is(path, raw, "true or false") {
		return nil
	}
	var b bool
	o.r.must(path, raw, &b)
	return &b
}

func (o *object) child(key string) *object {
	raw, path := o.take(key)
	return o.r.object(path, raw)
}

// document returns any JSON, canonical, or nil.
func (o *object) document(key string) json.RawMessage {
	raw, path := o.take(key)
	if raw == nil {
		return nil
	}
	doc, err := jsondoc.Canonical(raw)
	if err != nil {
		o.r.blame(path, "%s", fault.Of(err).Message)
		return nil
	}
	return doc
}

// mapping returns an object's JSON, canonical; nil when it is empty.
func (o *object) mapping(key string) json.RawMessage {
	raw, path := o.take(key)
	if raw == nil || o.r.blamed(path) || !o.r.is(path, raw, "a map") {
		return nil
	}
	doc := o.document(key)
	if string(doc) == "{}" {
		return nil
	}
	return doc
}

// keys returns all keys, sorted.
func (o *object) keys() []string { return slices.Sorted(maps.Keys(o.fields)) }

// end warns of the keys that nobody asked for.
func (o *object) end() {
	for _, key := range o.keys() {
		if slices.Contains(o.known, key) {
			continue
		}
		hint := ""
		if near := nearest(key, o.known); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		o.r.warn(jsondoc.Key(o.path, key), "is not a known key and has no effect%s", hint)
	}
}

// nearest returns the known key that a slip of the pen may have turned into
// key, or nothing.
func nearest(key string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(key), k); d < least && d < len(k)/2 {
			best, least = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions and changes between a and b. Keys
// of great length are far from everything.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
