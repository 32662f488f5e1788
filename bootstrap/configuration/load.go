package configuration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

const (
	defaultDir         = "config/tasker"
	defaultEnvironment = "development"
)

// Sources says where the configuration comes from. The zero value is valid:
// built-in defaults, plus the files in config/tasker where there are any.
type Sources struct {
	// Dir holds base/ and environments/. Empty: config/tasker, if it exists.
	Dir string
	// Environment names the overlay. Empty: TASKER_ENV, else development.
	Environment string
	// File is one merged file that is read instead of Dir. Empty:
	// TASKER_CONFIG_PATH, else Dir counts.
	File string
	// Environ is the environment, as os.Environ returns it.
	Environ []string
	// Overrides has the last word: dotted key to value, as text or as TOML
	// would give it (bool, int, float64, string).
	Overrides map[string]any
}

// Load reads all sources, later ones over earlier ones: defaults, base files,
// overlay, environment variables, overrides. Its error is an *Error with
// everything that is wrong. Neither error nor warnings contain values.
func Load(src Sources) (*Config, []Warning, error) {
	m := merge{k: koanf.New("."), origin: map[string]string{}}
	vars := environ(src.Environ)
	c := Default()
	c.Environment = first(src.Environment, vars["TASKER_ENV"], defaultEnvironment)

	for _, path := range m.files(src, vars, c.Environment) {
		m.add(m.fileLayer(path, vars))
	}
	m.add(namedLayer(vars))
	m.add(generalLayer(vars))
	m.add(overrideLayer(src.Overrides))

	m.fill(c)
	check(c, &m)
	if len(m.problems) > 0 {
		return nil, nil, &Error{Problems: m.problems}
	}
	return c, m.warnings, nil
}

// merge gathers the layers.
type merge struct {
	k        *koanf.Koanf
	origin   map[string]string // key → source that set it last
	problems []Problem
	warnings []Warning
}

func (m *merge) fail(source, key, format string, args ...any) {
	m.problems = append(m.problems, Problem{Source: source, Key: key, Message: fmt.Sprintf(format, args...)})
}

func (m *merge) warn(source, key, format string, args ...any) {
	m.warnings = append(m.warnings, Warning{Source: source, Key: key, Message: fmt.Sprintf(format, args...)})
}

// add puts a layer over those before.
func (m *merge) add(y *layer) {
	y.finish()
	m.problems = append(m.problems, y.problems...)
	m.warnings = append(m.warnings, y.warnings...)
	for key := range y.values {
		m.origin[key] = y.source(key)
	}
	if err := m.k.Load(confmap.Provider(y.values, "."), nil); err != nil {
		m.fail("", "", "merge: %v", err)
	}
}

// fill writes what was set over the defaults in c, then what follows from it.
func (m *merge) fill(c *Config) {
	root := reflect.ValueOf(c).Elem()
	for _, l := range keys().leaves {
		if m.k.Exists(l.key) {
			root.FieldByIndex(l.index).Set(reflect.ValueOf(m.k.Get(l.key)))
		}
	}
	for _, l := range keys().leaves {
		if l.inherit != "" && !m.k.Exists(l.key) {
			root.FieldByIndex(l.index).Set(root.FieldByIndex(keys().byKey[l.inherit].index))
		}
	}
	m.fillAuth(&c.Orchestration.Web.Auth)
}

var environmentName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// files returns the files to read, in order.
func (m *merge) files(src Sources, vars map[string]string, environment string) []string {
	source := "TASKER_ENV"
	if src.Environment != "" {
		source = "flag --" + flagEnvironment
	}
	if !environmentName.MatchString(environment) { // also keeps the path inside the folder
		m.fail(source, "", "must be a name of small letters, digits, - and _, such as production")
		return nil
	}
	if path := first(src.File, vars["TASKER_CONFIG_PATH"]); path != "" {
		if src.Dir != "" {
			m.warn("", "", "%s is read instead of the configuration folder %s", path, src.Dir)
		}
		return []string{path}
	}
	dir := first(src.Dir, defaultDir)
	base := filepath.Join(dir, "base", "orchestration.toml")
	if _, err := os.Stat(base); err != nil {
		switch {
		case src.Dir != "" || !errors.Is(err, fs.ErrNotExist):
			m.fail(base, "", "cannot be read: %s", cause(err))
		case environment != defaultEnvironment:
			m.warn(source, "", "no file below %s: built-in defaults are used, without an overlay for %s", dir, environment)
		}
		return nil
	}
	overlays := filepath.Join(dir, "environments")
	if _, err := os.Stat(filepath.Join(overlays, environment)); err != nil {
		m.fail(source, "", "no overlay %s in %s; there are: %s", environment, overlays, strings.Join(folders(overlays), ", "))
	}
	paths := []string{base}
	for _, path := range []string{
		filepath.Join(dir, "base", "common.toml"),
		filepath.Join(overlays, environment, "orchestration.toml"),
		filepath.Join(overlays, environment, "common.toml"),
	} {
		if _, err := os.Stat(path); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

func folders(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return []string{"none"}
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

func (m *merge) fileLayer(path string, vars map[string]string) *layer {
	y := newLayer(func(string) string { return path }, func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	})
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), toml.Parser()); err != nil {
		y.fail("", "%s", parseProblem(err))
		return y
	}
	y.table("", k.Raw())
	return y
}

// parseProblem says where a file is not TOML. The parser's longer report, which
// quotes the lines, may show a secret and is left out.
func parseProblem(err error) string {
	var at interface{ Position() (row, column int) }
	if errors.As(err, &at) {
		row, column := at.Position()
		return fmt.Sprintf("line %d, column %d: not TOML: %s", row, column, strings.TrimPrefix(err.Error(), "toml: "))
	}
	return "cannot be read: " + cause(err)
}

// cause leaves out the path that file errors repeat.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

func overrideLayer(overrides map[string]any) *layer {
	y := newLayer(func(key string) string {
		if f, ok := flagOf(trimIndex(key)); ok {
			return "flag --" + f.Name
		}
		return "override"
	}, nil)
	for _, key := range sortedKeys(overrides) {
		l := keys().byKey[key]
		if l == nil {
			y.unknown(key, overrides[key], "no such key; the nearest is "+nearest(key, keys().keyNames()))
			continue
		}
		raw := overrides[key]
		switch v := raw.(type) {
		case string:
			raw = text(v)
		case int:
			raw = int64(v)
		}
		y.set(l, raw)
	}
	return y
}

// show returns the value of a key in c as a file has it, without quotes.
func show(l *leaf, c *Config) string {
	if l.kind == kindAddress {
		return ""
	}
	switch v := reflect.ValueOf(c).Elem().FieldByIndex(l.index).Interface().(type) {
	case time.Duration:
		return strconv.FormatInt(int64(v/l.unit), 10)
	case []APIKey:
		return "[]"
	case map[string][]string:
		return "{}"
	default:
		return fmt.Sprint(v)
	}
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
