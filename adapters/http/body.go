package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

// fields are readers of the members of an object, by name. They are told the
// path of the member.
type fields map[string]func(path string, raw json.RawMessage) error

// readObject walks the members of a body once. A field of the wrong type is
// noted and the walk goes on, so that a client learns all of them; null is the
// same as absent. Names that mean nothing are returned.
func readObject(body []byte, f fields) (unknown []string, err error) {
	return readMembers("", body, f)
}

// readInner reads an object inside a body.
func readInner(path string, raw json.RawMessage, f fields, unknown *[]string) error {
	if raw[0] != '{' {
		return fault.In(path, fault.CodeInvalidField, "%s must be an object", path)
	}
	more, err := readMembers(path+".", raw, f)
	*unknown = append(*unknown, more...)
	return err
}

func readMembers(prefix string, body []byte, fields fields) (unknown []string, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, malformed(body)
	}
	seen := make(map[string]bool, len(fields))
	var wrong []fault.Detail
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, malformed(body)
		}
		field, _ := key.(string) // a decoder returns nothing else here
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, malformed(body)
		}
		read, known := fields[field]
		path := prefix + field
		switch {
		case !known:
			unknown = append(unknown, path)
			continue
		case seen[field]:
			return nil, fault.In(path, fault.CodeMalformed, "%s stands twice in the body, want it once", path)
		}
		seen[field] = true
		if string(raw) == "null" {
			continue
		}
		if err := read(path, raw); err != nil {
			f := fault.Of(err)
			switch {
			case f.Code == fault.CodeMalformed:
				return nil, err
			case len(f.Details) > 0:
				wrong = append(wrong, f.Details...)
			default:
				wrong = append(wrong, fault.Detail{Field: f.Field, Message: f.Message})
			}
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, malformed(body)
	}
	if len(bytes.TrimSpace(body[d.InputOffset():])) > 0 {
		return nil, malformed(body)
	}
	if len(wrong) > 0 {
		f := fault.In(wrong[0].Field, fault.CodeInvalidField, "%s", wrong[0].Message)
		f.Details = wrong
		return nil, f
	}
	return unknown, nil
}

// maxBodyDepth is where a body is malformed, whatever is in it; the limits of
// its documents are far below.
const maxBodyDepth = 64

// malformed says where a body stops being an object.
func malformed(body []byte) error {
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return fault.New(fault.CodeMalformed, "the body has to be a JSON object")
	}
	if err := jsondoc.Check("", body, jsondoc.Limits{MaxDepth: maxBodyDepth}); err != nil {
		f := fault.Of(err)
		return fault.In(f.Field, f.Code, "the body is refused: %s", f.Message)
	}
	return fault.New(fault.CodeMalformed, "the body has to be one JSON object and nothing more")
}

func readText(field string, raw json.RawMessage, into *string) error {
	if raw[0] != '"' {
		return fault.In(field, fault.CodeInvalidField, "%s must be a string", field)
	}
	if err := jsondoc.Check(field, raw, jsondoc.Limits{MaxDepth: 1}); err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// text reads a string.
func text(into *string) func(string, json.RawMessage) error {
	return func(path string, raw json.RawMessage) error { return readText(path, raw, into) }
}

// asIs takes a value byte for byte.
func asIs(into *json.RawMessage) func(string, json.RawMessage) error {
	return func(_ string, raw json.RawMessage) error { *into = raw; return nil }
}

// moment reads a time.
func moment(into *time.Time) func(string, json.RawMessage) error {
	return func(path string, raw json.RawMessage) error { return readTime(path, raw, into) }
}

// flag reads a truth value.
func flag(into *bool) func(string, json.RawMessage) error {
	return func(path string, raw json.RawMessage) error {
		if string(raw) != "true" && string(raw) != "false" {
			return fault.In(path, fault.CodeInvalidField, "%s must be true or false", path)
		}
		*into = string(raw) == "true"
		return nil
	}
}

// number reads a number.
func number(into *float64) func(string, json.RawMessage) error {
	return func(path string, raw json.RawMessage) error {
		n, err := strconv.ParseFloat(string(raw), 64)
		if err != nil {
			return fault.In(path, fault.CodeInvalidField, "%s must be a number", path)
		}
		*into = n
		return nil
	}
}

// whole reads a whole number of 32 bits.
func whole(into *int) func(string, json.RawMessage) error {
	return func(path string, raw json.RawMessage) error {
		var n int32
		err := readInt32(path, raw, &n)
		*into = int(n)
		return err
	}
}

// maxListDepth is enough for a list of words.
const maxListDepth = 2

func readTexts(path string, raw json.RawMessage, into *[]string) error {
	if raw[0] != '[' {
		return fault.In(path, fault.CodeInvalidField, "%s must be an array of strings", path)
	}
	if err := jsondoc.Check(path, raw, jsondoc.Limits{MaxDepth: maxListDepth}); err != nil {
		return err
	}
	texts := []string{}
	err := readItems(path, raw, func(path string, item json.RawMessage) error {
		texts = append(texts, "")
		return readText(path, item, &texts[len(texts)-1])
	})
	if err == nil {
		*into = texts
	}
	return err
}

// readItems reads each item of an array.
func readItems(path string, raw json.RawMessage, read func(path string, item json.RawMessage) error) error {
	if raw[0] != '[' {
		return fault.In(path, fault.CodeInvalidField, "%s must be an array", path)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	for i, item := range items {
		if err := read(jsondoc.Item(path, i), item); err != nil {
			return err
		}
	}
	return nil
}

// timeForms are what a time may look like; without a zone it is in UTC.
var timeForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"}

func readTime(path string, raw json.RawMessage, into *time.Time) error {
	var s string
	if err := readText(path, raw, &s); err != nil {
		return err
	}
	return parseTime(path, s, into)
}

func parseTime(path, s string, into *time.Time) error {
	for _, form := range timeForms {
		if t, err := time.Parse(form, s); err == nil {
			*into = t.UTC()
			return nil
		}
	}
	return fault.In(path, fault.CodeInvalidField, "%s must be a time such as 2026-03-01T10:00:00Z", path)
}

func readInt32(field string, raw json.RawMessage, into *int32) error {
	n, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil {
		if errors.Is(err, strconv.ErrRange) {
			return fault.In(field, fault.CodeInvalidField, "%s is out of range, want a whole number of 32 bits", field)
		}
		return fault.In(field, fault.CodeInvalidField, "%s must be a whole number", field)
	}
	*into = int32(n)
	return nil
}

// Bounds of what is said about unknown fields.
const (
	maxUnknown       = 20
	maxUnknownLength = 64
)

// unknownNames lists names for a header, which takes visible ASCII alone.
func unknownNames(names []string) string {
	var out []string
	for i, n := range names {
		if i == maxUnknown {
			out = append(out, "...")
			break
		}
		if len(n) > maxUnknownLength {
			n = n[:maxUnknownLength]
		}
		out = append(out, url.QueryEscape(n))
	}
	return strings.Join(out, ", ")
}
