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

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

// unknownFieldsHeader names the fields of a body that were not understood.
const unknownFieldsHeader = "X-Tasker-Unknown-Fields"

// CreateTaskBody documents the body of a create; decodeCreate reads it.
type CreateTaskBody struct {
	Name                string         `json:"name" minLength:"1" maxLength:"255" doc:"Name of the template." example:"order_fulfillment"`
	Namespace           string         `json:"namespace" minLength:"1" maxLength:"255" example:"orders"`
	Version             string         `json:"version" minLength:"1" maxLength:"50" example:"1.0.0"`
	Context             map[string]any `json:"context,omitempty" nullable:"true" doc:"What the task works on; has to fit the template's input_schema. Default {}."`
	Initiator           *string        `json:"initiator,omitempty" nullable:"true" maxLength:"255" doc:"Default system."`
	SourceSystem        *string        `json:"source_system,omitempty" nullable:"true" maxLength:"255" doc:"Default tasker-core."`
	Reason              *string        `json:"reason,omitempty" nullable:"true" maxLength:"500" doc:"Default Task requested."`
	Tags                []string       `json:"tags,omitempty" nullable:"true" maxItems:"100"`
	RequestedAt         *string        `json:"requested_at,omitempty" nullable:"true" doc:"RFC 3339, or the same without a zone for UTC. Default now."`
	Options             map[string]any `json:"options,omitempty" nullable:"true" doc:"Kept with the task."`
	Priority            *int32         `json:"priority,omitempty" nullable:"true" minimum:"-100" maximum:"100" doc:"Larger runs sooner. Default 0."`
	CorrelationID       *string        `json:"correlation_id,omitempty" nullable:"true" format:"uuid" doc:"Made when not given."`
	ParentCorrelationID *string        `json:"parent_correlation_id,omitempty" nullable:"true" format:"uuid"`
	IdempotencyKey      *string        `json:"idempotency_key,omitempty" nullable:"true" maxLength:"255" doc:"Identity of the task, instead of its context; as in the header Idempotency-Key."`
}

// maxTagDepth is enough for a list of words.
const maxTagDepth = 2

// decodeCreate reads the body of a create. Context and options are passed on
// byte for byte, so that the core sees what was sent. Names that mean nothing
// are returned. Types are checked here, meaning in the core.
func decodeCreate(body []byte) (app.CreateRequest, []string, error) {
	var r app.CreateRequest
	text := func(into *string) func(string, json.RawMessage) error {
		return func(field string, raw json.RawMessage) error { return readText(field, raw, into) }
	}
	asIs := func(into *json.RawMessage) func(string, json.RawMessage) error {
		return func(_ string, raw json.RawMessage) error { *into = raw; return nil }
	}
	fields := map[string]func(string, json.RawMessage) error{
		"name": text(&r.Name), "namespace": text(&r.Namespace), "version": text(&r.Version),
		"context": asIs(&r.Context), "options": asIs(&r.Options),
		"initiator": text(&r.Initiator), "source_system": text(&r.SourceSystem), "reason": text(&r.Reason),
		"correlation_id": text(&r.CorrelationID), "parent_correlation_id": text(&r.ParentCorrelationID),
		"idempotency_key": text(&r.IdempotencyKey),
		"tags":            func(field string, raw json.RawMessage) error { return readTags(field, raw, &r.Tags) },
		"requested_at":    func(field string, raw json.RawMessage) error { return readTime(field, raw, &r.RequestedAt) },
		"priority":        func(field string, raw json.RawMessage) error { return readInt32(field, raw, &r.Priority) },
	}
	unknown, err := readObject(body, fields)
	return r, unknown, err
}

// readObject walks the members of an object once. A field of the wrong type is
// noted and the walk goes on, so that a client learns all of them; null is the
// same as absent.
func readObject(body []byte, fields map[string]func(string, json.RawMessage) error) (unknown []string, err error) {
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
		switch {
		case !known:
			unknown = append(unknown, field)
			continue
		case seen[field]:
			return nil, fault.In(field, fault.CodeMalformed, "%s stands twice in the body, want it once", field)
		}
		seen[field] = true
		if string(raw) == "null" {
			continue
		}
		if err := read(field, raw); err != nil {
			f := fault.Of(err)
			if f.Code == fault.CodeMalformed {
				return nil, err
			}
			wrong = append(wrong, fault.Detail{Field: f.Field, Message: f.Message})
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

func readTags(field string, raw json.RawMessage, into *[]string) error {
	if raw[0] != '[' {
		return fault.In(field, fault.CodeInvalidField, "%s must be an array of strings", field)
	}
	if err := jsondoc.Check(field, raw, jsondoc.Limits{MaxDepth: maxTagDepth}); err != nil {
		return err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return fmt.Errorf("read %s: %w", field, err)
	}
	tags := make([]string, len(items))
	for i, item := range items {
		if err := readText(jsondoc.Item(field, i), item, &tags[i]); err != nil {
			return err
		}
	}
	*into = tags
	return nil
}

// timeForms are what a time may look like; without a zone it is in UTC.
var timeForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"}

func readTime(field string, raw json.RawMessage, into *time.Time) error {
	var s string
	if err := readText(field, raw, &s); err != nil {
		return err
	}
	for _, form := range timeForms {
		if t, err := time.Parse(form, s); err == nil {
			*into = t.UTC()
			return nil
		}
	}
	return fault.In(field, fault.CodeInvalidField, "%s must be a time such as 2026-03-01T10:00:00Z", field)
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
