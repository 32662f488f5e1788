package configuration

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// text is a value that came as characters, from the environment, a flag or a
// ${VAR}, and may stand for any type. A plain TOML string stays a string.
type text string

// layer is what one source sets: values in the types of the fields.
type layer struct {
	source   func(key string) string // how the operator knows the source of key
	lookup   func(name string) (string, bool)
	values   map[string]any
	problems []Problem
	warnings []Warning
}

func newLayer(source func(string) string, lookup func(string) (string, bool)) *layer {
	return &layer{source: source, lookup: lookup, values: map[string]any{}}
}

func (y *layer) fail(key, format string, args ...any) {
	y.problems = append(y.problems, Problem{Source: y.source(key), Key: key, Message: fmt.Sprintf(format, args...)})
}

func (y *layer) warn(key, format string, args ...any) {
	y.warnings = append(y.warnings, Warning{Source: y.source(key), Key: key, Message: fmt.Sprintf(format, args...)})
}

// table reads a table of a file: its keys, and its sections below.
func (y *layer) table(prefix string, table map[string]any) {
	s := keys()
	for _, name := range sortedKeys(table) {
		raw, key := table[name], prefix+name
		below, isTable := raw.(map[string]any)
		l := s.byKey[key]
		switch {
		case name == "_docs": // notes in files, as the original has them
		case s.sections[key] && isTable:
			y.table(key+".", below)
		case s.sections[key]:
			y.fail(key, "is a section; write [%s] and its keys below", key)
		case l != nil && isTable && l.kind != kindLists:
			y.fail(key, "must be %s, not a section", l.want())
		case l != nil:
			y.set(l, raw)
		case isTable:
			y.unknown(key, raw, fmt.Sprintf("no such section; the nearest is [%s]", nearest(key, s.sectionNames())))
		default:
			y.unknown(key, raw, fmt.Sprintf("no such key; the nearest is %s", nearest(key, s.keyNames())))
		}
	}
}

func (s *schema) keyNames() []string {
	names := make([]string, len(s.leaves))
	for i, l := range s.leaves {
		names[i] = l.key
	}
	return names
}

func (s *schema) sectionNames() []string {
	return sortedKeys(s.sections)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// set reads the value of one key.
func (y *layer) set(l *leaf, raw any) {
	if v, ok := y.read(l, l.key, raw); ok {
		y.values[l.key] = v
	}
}

// read turns raw into the type of l, or reports why not, under the name at.
func (y *layer) read(l *leaf, at string, raw any) (any, bool) {
	raw, err := y.expand(raw)
	if err != nil {
		y.fail(at, "%v", err)
		return nil, false
	}
	switch l.kind {
	case kindBool:
		return y.readBool(l, at, raw)
	case kindInt:
		return y.readInt(l, at, raw)
	case kindFloat:
		return y.readFloat(l, at, raw)
	case kindText:
		return y.readText(l, at, raw)
	case kindDuration:
		n, ok := y.readInt(l, at, raw)
		return time.Duration(n) * l.unit, ok
	case kindTextList:
		return y.readTexts(l, at, raw)
	case kindTables:
		return y.readTables(l, at, raw)
	case kindLists:
		return y.readLists(l, at, raw)
	case kindAddress:
		return y.readAddress(l, at, raw)
	}
	return nil, false
}

func (y *layer) wrongType(l *leaf, at string, raw any) {
	found := "another type"
	switch raw.(type) {
	case text:
		y.fail(at, "must be %s", strings.TrimSuffix(l.want(), " in quotes"))
		return
	case string:
		found = "text"
	case int64:
		found = "a whole number"
	case float64:
		found = "a decimal number"
	case bool:
		found = "true or false"
	case []any:
		found = "a list"
	case map[string]any:
		found = "a table"
	}
	y.fail(at, "must be %s, not %s", l.want(), found)
}

func (y *layer) readBool(l *leaf, at string, raw any) (bool, bool) {
	switch v := raw.(type) {
	case bool:
		return v, true
	case text:
		if b, err := strconv.ParseBool(strings.ToLower(string(v))); err == nil {
			return b, true
		}
	}
	y.wrongType(l, at, raw)
	return false, false
}

func (y *layer) readInt(l *leaf, at string, raw any) (int, bool) {
	n, ok := raw.(int64)
	if v, isText := raw.(text); isText {
		parsed, err := strconv.ParseInt(string(v), 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			err = nil // parsed is the nearest there is, so out of every range
		}
		n, ok = parsed, err == nil
	}
	if !ok {
		y.wrongType(l, at, raw)
		return 0, false
	}
	return int(n), y.within(l, at, float64(n))
}

func (y *layer) readFloat(l *leaf, at string, raw any) (float64, bool) {
	var n float64
	ok := true
	switch v := raw.(type) {
	case float64:
		n = v
	case int64:
		n = float64(v)
	case text:
		parsed, err := strconv.ParseFloat(string(v), 64)
		n, ok = parsed, err == nil
	default:
		ok = false
	}
	if !ok {
		y.wrongType(l, at, raw)
		return 0, false
	}
	return n, y.within(l, at, n)
}

func (y *layer) within(l *leaf, at string, n float64) bool {
	if !l.bounded || (n >= l.min && n <= l.max) { // NaN is not
		return true
	}
	low, high, _ := strings.Cut(l.bounds, "..")
	unit := ""
	if l.unit != 0 {
		unit = " " + l.unitName()
	}
	y.fail(at, "must be between %s and %s%s", low, high, unit)
	return false
}

func (y *layer) readText(l *leaf, at string, raw any) (any, bool) {
	v := reflect.ValueOf(raw)
	if v.Kind() != reflect.String {
		y.wrongType(l, at, raw)
		return nil, false
	}
	s := v.String()
	if len(l.oneOf) > 0 {
		i := slices.IndexFunc(l.oneOf, func(word string) bool { return strings.EqualFold(word, s) })
		if i < 0 {
			y.fail(at, "must be one of %s", strings.Join(l.oneOf, ", "))
			return nil, false
		}
		s = l.oneOf[i]
	}
	if l.format != "" {
		if problem := formats[l.format](s); problem != "" {
			y.fail(at, "%s", problem)
			return nil, false
		}
	}
	return reflect.ValueOf(s).Convert(l.typ).Interface(), true
}

// items returns the elements of a list: of a file, or of text between commas.
func (y *layer) items(l *leaf, at string, raw any) ([]any, bool) {
	switch v := raw.(type) {
	case []any:
		return v, true
	case text:
		var list []any
		for part := range strings.SplitSeq(string(v), ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, text(part))
			}
		}
		return list, true
	}
	y.wrongType(l, at, raw)
	return nil, false
}

func (y *layer) readTexts(l *leaf, at string, raw any) (any, bool) {
	list, ok := y.items(l, at, raw)
	one := leaf{kind: kindText, typ: reflect.TypeFor[string](), format: l.format}
	out := make([]string, len(list))
	for i, raw := range list {
		v, fine := y.read(&one, fmt.Sprintf("%s[%d]", at, i), raw)
		out[i], _ = v.(string)
		ok = ok && fine
	}
	return out, ok
}

func (y *layer) readTables(l *leaf, at string, raw any) (any, bool) {
	list, ok := raw.([]any)
	if v, isText := raw.(text); isText {
		if json.Unmarshal([]byte(v), &list) != nil { // its message would show the value
			y.fail(at, "must be a JSON array of objects")
			return nil, false
		}
		ok = true
	}
	if !ok {
		y.wrongType(l, at, raw)
		return nil, false
	}
	out := reflect.MakeSlice(l.typ, len(list), len(list))
	for i, raw := range list {
		at := fmt.Sprintf("%s[%d]", at, i)
		table, isTable := raw.(map[string]any)
		if !isTable {
			y.fail(at, "must be a table")
			ok = false
			continue
		}
		ok = y.readRow(l, at, table, out.Index(i)) && ok
	}
	return out.Interface(), ok
}

func (y *layer) readRow(l *leaf, at string, table map[string]any, into reflect.Value) bool {
	ok := true
	names := make([]string, 0, len(l.fields))
	for i := range l.fields {
		f := &l.fields[i]
		names = append(names, f.key)
		raw, there := table[f.key]
		if !there {
			continue
		}
		v, fine := y.read(f, at+"."+f.key, raw)
		if fine {
			into.FieldByIndex(f.index).Set(reflect.ValueOf(v))
		}
		ok = ok && fine
	}
	for _, name := range sortedKeys(table) {
		if !slices.Contains(names, name) {
			y.fail(at+"."+name, "no such key; the nearest is %s", nearest(name, names))
			ok = false
		}
	}
	return ok
}

// readLists reads a table whose names are people's own, of roles.
func (y *layer) readLists(l *leaf, at string, raw any) (any, bool) {
	table, ok := raw.(map[string]any)
	if v, isText := raw.(text); isText {
		if json.Unmarshal([]byte(v), &table) != nil {
			y.fail(at, "must be a JSON object of lists of texts")
			return nil, false
		}
		ok = true
	}
	if !ok {
		y.wrongType(l, at, raw)
		return nil, false
	}
	out := map[string][]string{}
	for _, name := range sortedKeys(table) {
		if problem := formats["role"](name); problem != "" {
			y.fail(at+"."+name, "%s", problem)
			ok = false
			continue
		}
		one := leaf{kind: kindTextList, format: l.format}
		v, fine := y.read(&one, at+"."+name, table[name])
		out[name], _ = v.([]string)
		ok = ok && fine
	}
	return out, ok
}

// address is the value of a host:port key, until the layer is complete.
type address struct {
	host string
	port int
}

func (y *layer) readAddress(l *leaf, at string, raw any) (any, bool) {
	v := reflect.ValueOf(raw)
	if v.Kind() != reflect.String {
		y.wrongType(l, at, raw)
		return nil, false
	}
	host, port, err := net.SplitHostPort(v.String())
	n, numErr := strconv.ParseUint(port, 10, 16)
	if err != nil || numErr != nil || formats["host"](host) != "" {
		y.fail(at, "must be host:port, such as 127.0.0.1:8080 or [::1]:8080")
		return nil, false
	}
	return address{host: host, port: int(n)}, true
}

// finish replaces each host:port by the two keys that it stands for.
func (y *layer) finish() {
	for _, l := range keys().leaves {
		a, ok := y.values[l.key].(address)
		if !ok {
			continue
		}
		delete(y.values, l.key)
		section := l.key[:strings.LastIndex(l.key, ".")+1]
		for _, key := range []string{section + "host", section + "port"} {
			if _, both := y.values[key]; both {
				y.fail(l.key, "is set together with %s in the same place; keep one of them", key)
			}
		}
		y.values[section+"host"], y.values[section+"port"] = a.host, a.port
	}
}
