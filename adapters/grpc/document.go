package grpc

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

// document returns a Struct as the text of a JSON object; nil for none. Whole
// numbers have no point, for the message does not tell 5 from 5.0. A number
// that JSON does not have is a fault that names its place.
func document(field string, s *structpb.Struct) (json.RawMessage, error) {
	if s == nil {
		return nil, nil
	}
	if steps, bad := notFinite(structpb.NewStructValue(s)); bad {
		where := pathOf(field, steps)
		return nil, fault.In(where, fault.CodeInvalidField, "%s is not a finite number, and JSON has no other", where)
	}
	return appendObject(make([]byte, 0, 16+32*len(s.GetFields())), s), nil
}

// notFinite finds a number that is none, and returns the way to it: keys and
// indices, the innermost first. Like the rest it recurses as deep as the message
// is, which protobuf has bounded.
func notFinite(v *structpb.Value) (steps []any, bad bool) {
	switch k := v.GetKind().(type) {
	case *structpb.Value_NumberValue:
		return nil, math.IsNaN(k.NumberValue) || math.IsInf(k.NumberValue, 0)
	case *structpb.Value_StructValue:
		for key, member := range k.StructValue.GetFields() {
			if steps, bad = notFinite(member); bad {
				return append(steps, key), true
			}
		}
	case *structpb.Value_ListValue:
		for i, item := range k.ListValue.GetValues() {
			if steps, bad = notFinite(item); bad {
				return append(steps, i), true
			}
		}
	}
	return nil, false
}

// pathOf spells the way that notFinite found, or its beginning when it is longer
// than any document that is accepted.
func pathOf(field string, steps []any) string {
	const longest = 16
	path := field
	for i, s := range slices.Backward(steps) {
		if i < len(steps)-longest {
			return path + "…"
		}
		switch s := s.(type) {
		case string:
			path = jsondoc.Key(path, s)
		case int:
			path = jsondoc.Item(path, s)
		}
	}
	return path
}

func appendValue(b []byte, v *structpb.Value) []byte {
	switch k := v.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return strconv.AppendBool(b, k.BoolValue)
	case *structpb.Value_NumberValue:
		return appendNumber(b, k.NumberValue)
	case *structpb.Value_StringValue:
		return appendText(b, k.StringValue)
	case *structpb.Value_StructValue:
		return appendObject(b, k.StructValue)
	case *structpb.Value_ListValue:
		b = append(b, '[')
		for i, item := range k.ListValue.GetValues() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, item)
		}
		return append(b, ']')
	default: // null, and what says nothing
		return append(b, "null"...)
	}
}

func appendObject(b []byte, s *structpb.Struct) []byte {
	b = append(b, '{')
	fields := s.GetFields()
	for i, key := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(append(appendText(b, key), ':'), fields[key])
	}
	return append(b, '}')
}

// largeNumber is from where numbers are written with an exponent, as in
// JavaScript.
const largeNumber = 1e21

func appendNumber(b []byte, n float64) []byte {
	switch {
	case n == 0: // documents do not tell 0 from -0
		return append(b, '0')
	case math.Abs(n) < 1/largeNumber || math.Abs(n) >= largeNumber:
		return strconv.AppendFloat(b, n, 'e', -1, 64)
	default:
		return strconv.AppendFloat(b, n, 'f', -1, 64)
	}
}

// appendText writes a string; protobuf has seen to it that it is UTF-8.
func appendText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	clean := 0 // up to here it is written
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[clean:i]...)
		clean = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	return append(append(b, s[clean:]...), '"')
}

// object returns the text of a JSON object as a Struct; nil for anything else,
// as the contract has it. A number beyond a double is kept as its text.
func object(raw json.RawMessage) *structpb.Struct {
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	var members map[string]any
	if in.Decode(&members) != nil {
		return nil
	}
	return structOf(members)
}

// jsonValue reads any JSON value.
func jsonValue(raw json.RawMessage) (*structpb.Value, error) {
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	var v any
	if err := in.Decode(&v); err != nil {
		return nil, err
	}
	return valueOf(v), nil
}

func structOf(members map[string]any) *structpb.Struct {
	s := &structpb.Struct{Fields: make(map[string]*structpb.Value, len(members))}
	for key, v := range members {
		s.Fields[key] = valueOf(v)
	}
	return s
}

func valueOf(v any) *structpb.Value {
	switch v := v.(type) {
	case bool:
		return structpb.NewBoolValue(v)
	case json.Number:
		if n, err := v.Float64(); err == nil {
			return structpb.NewNumberValue(n)
		}
		return structpb.NewStringValue(v.String())
	case string:
		return structpb.NewStringValue(v)
	case map[string]any:
		return structpb.NewStructValue(structOf(v))
	case []any:
		list := &structpb.ListValue{Values: make([]*structpb.Value, len(v))}
		for i := range v {
			list.Values[i] = valueOf(v[i])
		}
		return structpb.NewListValue(list)
	default:
		return structpb.NewNullValue()
	}
}
