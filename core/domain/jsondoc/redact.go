package jsondoc

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Redacted stands where a value is not shown.
const Redacted = "[redacted]"

// Redact returns doc with Redacted in place of the value of each member, at any
// depth, whose name is one of names, in whatever case. A document that cannot be
// read is not shown at all.
func Redact(doc json.RawMessage, names []string) json.RawMessage {
	if len(names) == 0 || len(doc) == 0 {
		return doc
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return json.RawMessage(`"` + Redacted + `"`)
	}
	hidden := make(map[string]bool, len(names))
	for _, n := range names {
		hidden[strings.ToLower(n)] = true
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(redact(v, hidden)); err != nil {
		return json.RawMessage(`"` + Redacted + `"`)
	}
	return bytes.TrimSpace(out.Bytes())
}

// redact changes v in place.
func redact(v any, hidden map[string]bool) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if hidden[strings.ToLower(name)] {
				v[name] = Redacted
			} else {
				v[name] = redact(value, hidden)
			}
		}
	case []any:
		for i := range v {
			v[i] = redact(v[i], hidden)
		}
	}
	return v
}
