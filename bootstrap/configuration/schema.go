package configuration

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kind is how the value of a key is written.
type kind uint8

const (
	kindBool kind = iota + 1
	kindInt
	kindFloat
	kindText
	kindDuration // whole number in the unit of the key's suffix
	kindTextList
	kindTables  // list of tables
	kindLists   // table of lists of texts
	kindAddress // host:port; sets two other keys
)

// want says in words what a value of the kind is.
func (l *leaf) want() string {
	switch l.kind {
	case kindBool:
		return "true or false"
	case kindInt:
		return "a whole number"
	case kindFloat:
		return "a number"
	case kindText:
		return "text in quotes"
	case kindDuration:
		return "a whole number of " + l.unitName()
	case kindTextList:
		return "a list of texts"
	case kindTables:
		return "a list of tables"
	case kindLists:
		return "a table of lists of texts"
	case kindAddress:
		return "text in quotes, host:port"
	}
	return "another type"
}

// leaf is one key.
type leaf struct {
	key      string // dotted, from the root of a file
	kind     kind
	typ      reflect.Type
	index    []int         // of the field, from Config
	unit     time.Duration // of one, for durations
	bounded  bool
	min, max float64 // in units, both included
	bounds   string  // as the tag has them
	oneOf    []string
	format   string
	env      string // environment variable beside the general one
	inherit  string // key that supplies an unset value
	unset    string // what stands in for the default, in words
	fields   []leaf // of the tables of a list; their keys are relative
}

func (l *leaf) unitName() string {
	switch l.unit {
	case time.Millisecond:
		return "milliseconds"
	case time.Minute:
		return "minutes"
	default:
		return "seconds"
	}
}

// variable returns the environment variable that every key has.
func (l *leaf) variable() string { return variableOf(l.key) }

func variableOf(key string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

// schema is every key that there is.
type schema struct {
	leaves   []*leaf // in the order of the structs
	byKey    map[string]*leaf
	sections map[string]bool // dotted paths of tables
}

// keys derives the schema from Config, once. A tag that makes no sense is a
// mistake in this package and panics; its tests run this.
var keys = sync.OnceValue(func() *schema {
	s := &schema{byKey: map[string]*leaf{}, sections: map[string]bool{}}
	s.add(reflect.TypeFor[Config](), "", nil)
	for _, l := range s.leaves {
		s.byKey[l.key] = l
	}
	return s
})

func (s *schema) add(t reflect.Type, prefix string, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := f.Tag.Lookup("toml")
		if !ok {
			continue
		}
		key := prefix + name
		at := append(append([]int(nil), index...), i)
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[bindAddress]() {
			s.sections[key] = true
			s.add(f.Type, key+".", at)
			continue
		}
		l := newLeaf(f, key)
		l.index = at
		s.leaves = append(s.leaves, &l)
	}
}

func newLeaf(f reflect.StructField, key string) leaf {
	l := leaf{
		key: key, typ: f.Type,
		bounds: f.Tag.Get("range"), oneOf: strings.Fields(f.Tag.Get("oneof")), format: f.Tag.Get("format"),
		env: f.Tag.Get("env"), inherit: f.Tag.Get("inherit"), unset: f.Tag.Get("unset"),
	}
	l.kind = kindOf(f.Type)
	switch {
	case strings.HasSuffix(key, "_ms"):
		l.unit = time.Millisecond
	case strings.HasSuffix(key, "_seconds"):
		l.unit = time.Second
	case strings.HasSuffix(key, "_minutes"):
		l.unit = time.Minute
	}
	if l.kind == kindDuration && l.unit == 0 {
		panic("configuration: duration without a unit in its key: " + key)
	}
	if l.kind == kindTables {
		for i := range f.Type.Elem().NumField() {
			ef := f.Type.Elem().Field(i)
			el := newLeaf(ef, ef.Tag.Get("toml"))
			el.index = []int{i}
			l.fields = append(l.fields, el)
		}
	}
	if l.bounds != "" {
		low, high, _ := strings.Cut(l.bounds, "..")
		var errLow, errHigh error
		l.min, errLow = strconv.ParseFloat(low, 64)
		l.max, errHigh = strconv.ParseFloat(high, 64)
		if errLow != nil || errHigh != nil || l.min > l.max {
			panic(fmt.Sprintf("configuration: bad range %q of %s", l.bounds, key))
		}
		l.bounded = true
	}
	return l
}

func kindOf(t reflect.Type) kind {
	switch t {
	case reflect.TypeFor[bindAddress]():
		return kindAddress
	case reflect.TypeFor[time.Duration]():
		return kindDuration
	case reflect.TypeFor[[]string]():
		return kindTextList
	case reflect.TypeFor[map[string][]string]():
		return kindLists
	}
	switch t.Kind() { //nolint:exhaustive // the rest are no settings
	case reflect.Bool:
		return kindBool
	case reflect.Int:
		return kindInt
	case reflect.Float64:
		return kindFloat
	case reflect.String:
		return kindText
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return kindTables
		}
	}
	panic("configuration: no key can hold a " + t.String())
}
