package configuration

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// variablePrefix begins the general variable of every key:
// TASKER__ORCHESTRATION__WEB__PORT is orchestration.web.port.
const variablePrefix = "TASKER__"

// environ is an environment as os.Environ gives it; of several entries for a
// name the last one counts.
func environ(entries []string) map[string]string {
	vars := make(map[string]string, len(entries))
	for _, e := range entries {
		if name, value, ok := strings.Cut(e, "="); ok {
			vars[name] = value
		}
	}
	return vars
}

// namedLayer reads the variables that some keys have beside the general one.
// An empty one counts as not set: compose files and CI leave such behind.
func namedLayer(vars map[string]string) *layer {
	y := newLayer(func(key string) string {
		if l := keys().byKey[key]; l != nil && l.env != "" {
			return "environment variable " + l.env
		}
		return "environment"
	}, nil)
	for _, l := range keys().leaves {
		if v := vars[l.env]; l.env != "" && v != "" {
			y.set(l, text(v))
		}
	}
	return y
}

// generalLayer reads TASKER__… variables. Empty is a value here.
func generalLayer(vars map[string]string) *layer {
	y := newLayer(func(key string) string { return "environment variable " + variableOf(trimIndex(key)) }, nil)
	s := keys()
	for _, name := range sortedKeys(vars) {
		rest, ok := strings.CutPrefix(name, variablePrefix)
		if !ok {
			continue
		}
		key := strings.ToLower(strings.ReplaceAll(rest, "__", "."))
		l := s.byKey[key]
		if l == nil {
			if _, ok := ofOriginal(key); ok {
				y.unknown(key, vars[name], "")
				continue
			}
			near := nearest(key, s.keyNames())
			y.problems = append(y.problems, Problem{
				Source:  "environment variable " + name,
				Message: fmt.Sprintf("no such key; the nearest is %s (%s)", variableOf(near), near),
			})
			continue
		}
		y.set(l, text(vars[name]))
	}
	return y
}

// trimIndex cuts what stands behind the name of a list: a.b[2].c is of a.b.
func trimIndex(key string) string {
	key, _, _ = strings.Cut(key, "[")
	return key
}

var placeholder = regexp.MustCompile(`\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|\$\{`)

var errReference = errors.New("${ must be followed by a name and }: ${NAME} or ${NAME:-default}; a plain ${ is written $${")

// expand replaces ${NAME} and ${NAME:-default} in a string of a file. The
// default also stands in for an empty variable, as in a shell. What a variable
// holds is not expanded again.
func (y *layer) expand(raw any) (any, error) {
	s, ok := raw.(string)
	if !ok || y.lookup == nil || !strings.Contains(s, "${") {
		return raw, nil
	}
	var first error
	out := placeholder.ReplaceAllStringFunc(s, func(match string) string {
		parts := placeholder.FindStringSubmatch(match)
		name, byDefault, hasDefault := parts[1], parts[3], parts[2] != ""
		value, set := y.lookup(name)
		var err error
		switch {
		case match == "$${":
			return "${"
		case name == "":
			err = errReference
		case hasDefault && value == "":
			return byDefault
		case !set:
			err = fmt.Errorf("needs the environment variable %s, which is not set; set it or write ${%s:-default}", name, name)
		}
		if first == nil {
			first = err
		}
		return value
	})
	if first != nil {
		return nil, first
	}
	return text(out), nil
}
