package templates

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/domain/template"
)

const (
	// maxNodes bounds what aliases make of a file: some lines of them can stand
	// for more values than there is memory.
	maxNodes = 1_000_000
	// maxSent is the same for what clients send. A step has about ten values and
	// keys, and twenty-six with all defaults spelled out.
	maxSent = 400_000
	// maxDepth is deeper than any template may be; the domain says so in its
	// own words when its limit is the one that is broken.
	maxDepth = 100
	// maxProblems is how many problems, and how many warnings, of one text are
	// told at most.
	maxProblems = 1000
)

// place is where a value begins.
type place struct{ line, column int }

// document is one text on its way to a template.
type document struct {
	file               string
	template           *template.Template // nil when there are problems
	warnings, problems Findings

	out    bytes.Buffer     // the same document as JSON
	places map[string]place // of every value, by its path
	nodes  int
	limit  int  // of nodes
	full   bool // a limit was broken: stop
}

func (r Reader) parse(file string, data []byte, limit int) *document {
	d := &document{file: file, places: make(map[string]place), limit: limit}
	if len(data) > template.MaxBytes {
		d.problems = Findings{tooLarge(file)}
		return d
	}
	load := d.load
	if looksLikeJSON(data) {
		load = d.loadJSON
	}
	root := load(data)
	if root == nil {
		return d
	}
	d.places[""] = place{root.Line, root.Column}
	d.value("", root, 0)
	if d.full {
		return d
	}
	t, warnings, err := template.ReadWith(d.out.Bytes(), r.compile)
	for _, w := range warnings[:min(len(warnings), maxProblems)] {
		d.warnings = append(d.warnings, d.finding(w.Field, w.Message))
	}
	if err != nil {
		d.explain(err)
	}
	byPlace := func(a, b Finding) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) }
	slices.SortStableFunc(d.warnings, byPlace)
	slices.SortStableFunc(d.problems, byPlace)
	if len(d.problems) == 0 {
		d.template = t
	}
	return d
}

// load returns the root of the one document in data, or nil.
func (d *document) load(data []byte) *yaml.Node {
	var first, second yaml.Node
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err == nil {
		err = loader.Load(&first)
	}
	switch {
	case errors.Is(err, io.EOF):
		d.problems = Findings{{File: d.file, Message: "is empty, want a template"}}
		return nil
	case err != nil:
		d.problems = Findings{d.syntax(err)}
		return nil
	case len(first.Content) == 0:
		d.problems = Findings{{File: d.file, Message: "is empty, want a template"}}
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		d.problems = Findings{{File: d.file, Line: second.Line, Column: second.Column, Message: "is a second document, want one template a file"}}
		return nil
	case !errors.Is(err, io.EOF):
		d.problems = Findings{d.syntax(err)}
		return nil
	}
	return first.Content[0]
}

func (d *document) syntax(err error) Finding {
	f := Finding{File: d.file, Message: "is not YAML: " + err.Error()}
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		f.Line, f.Column = e.Mark.Line, e.Mark.Column
		f.Message = "is not YAML: " + e.Message
		if e.ContextMsg != "" {
			f.Message += " " + e.ContextMsg
		}
	}
	return f
}

// explain adds the problems that the domain has found, apart from those that
// only follow from what could not be handed to it.
func (d *document) explain(err error) {
	f := fault.Of(err)
	details := f.Details
	if len(details) == 0 {
		details = []fault.Detail{{Field: f.Field, Message: strings.TrimPrefix(f.Message, f.Field+" ")}}
	}
	mine := len(d.problems)
	for _, p := range details[:min(len(details), maxProblems)] {
		follows := slices.ContainsFunc(d.problems[:mine], func(m Finding) bool { return within(p.Field, m.Field) })
		if !follows {
			d.problems = append(d.problems, d.finding(p.Field, p.Message))
		}
	}
}

// within reports whether field is, or is a part of, whole.
func within(field, whole string) bool {
	rest, found := strings.CutPrefix(field, whole)
	return whole != "" && found && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// aliases are the other spellings of keys: messages use that of the file.
var aliases = strings.NewReplacer(".dependencies", ".depends_on", ".type", ".step_type")

// finding places a message: at the field, or at what would hold it if it were
// there.
func (d *document) finding(field, message string) Finding {
	if other := aliases.Replace(field); other != field {
		if _, spelled := d.places[other]; spelled {
			field = other
		}
	}
	f := Finding{File: d.file, Field: field, Message: message}
	for at := field; ; at = at[:strings.LastIndexAny(at, ".[")] {
		if p, known := d.places[at]; known {
			f.Line, f.Column = p.line, p.column
			return f
		}
		if !strings.ContainsAny(at, ".[") {
			break
		}
	}
	f.Line, f.Column = d.places[""].line, d.places[""].column
	return f
}

func (d *document) blame(path string, n *yaml.Node, format string, args ...any) {
	if len(d.problems) > maxProblems {
		return
	}
	d.problems = append(d.problems, Finding{
		File: d.file, Line: n.Line, Column: n.Column, Field: path, Message: fmt.Sprintf(format, args...),
	})
}

// spend counts a value and reports whether there may be one more.
func (d *document) spend(path string, n *yaml.Node, depth int) bool {
	d.nodes++
	switch {
	case d.full:
	case len(d.problems) >= maxProblems:
		d.full = true
	case depth > maxDepth:
		d.full = true
		d.blame(path, n, "is nested too deeply, or within itself; want at most %d levels", maxDepth)
	case d.nodes > d.limit || d.out.Len() > template.MaxBytes:
		d.full = true
		d.blame(path, n, "makes the template too large; want fewer values, aliases (*name) written out")
	}
	return !d.full
}

// value writes n as JSON.
func (d *document) value(path string, n *yaml.Node, depth int) {
	if !d.spend(path, n, depth) {
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		d.value(path, n.Alias, depth+1)
	case yaml.MappingNode:
		d.mapping(path, n, depth)
	case yaml.SequenceNode:
		d.out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				d.out.WriteByte(',')
			}
			itemPath := jsondoc.Item(path, i)
			d.places[itemPath] = place{item.Line, item.Column}
			d.value(itemPath, item, depth+1)
		}
		d.out.WriteByte(']')
	case yaml.ScalarNode:
		d.scalar(path, n)
	default:
		d.blame(path, n, "is not a value of YAML that templates know")
		d.out.WriteString("null")
	}
}

// member is one key of a mapping.
type member struct {
	key   string
	at    *yaml.Node
	value *yaml.Node
}

func (d *document) mapping(path string, n *yaml.Node, depth int) {
	members := d.members(path, n, depth)
	d.out.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			d.out.WriteByte(',')
		}
		d.text(m.key)
		d.out.WriteByte(':')
		memberPath := jsondoc.Key(path, m.key)
		d.places[memberPath] = place{m.at.Line, m.at.Column}
		d.value(memberPath, m.value, depth+1)
	}
	d.out.WriteByte('}')
}

// members returns the keys of a mapping, those that it merges (<<) last and
// only where it has none of its own.
func (d *document) members(path string, n *yaml.Node, depth int) []member {
	var (
		members []member
		merges  []*yaml.Node
		first   = make(map[string]*yaml.Node, len(n.Content)/2)
	)
	d.nodes += len(n.Content) / 2 // merging costs, though little may come of it
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolved(n.Content[i]), n.Content[i+1]
		switch tag := key.ShortTag(); {
		case key.Kind != yaml.ScalarNode:
			d.blame(path, n.Content[i], "has a key that is not text")
		case tag == "!!merge":
			merges = append(merges, value)
		case tag == "!!null":
			d.blame(path, n.Content[i], "has an empty key, want text")
		case first[key.Value] != nil:
			d.blame(jsondoc.Key(path, key.Value), n.Content[i], "stands here a second time, want each key once (first on line %d)", first[key.Value].Line)
		default:
			first[key.Value] = n.Content[i]
			members = append(members, member{key: key.Value, at: n.Content[i], value: value})
		}
	}
	for _, merge := range merges {
		for _, m := range d.merged(path, merge, depth+1) {
			if first[m.key] == nil {
				first[m.key] = m.at
				members = append(members, m)
			}
		}
	}
	return members
}

// merged returns the members that the value of << stands for: those of a
// mapping, or of several, the first of which wins.
func (d *document) merged(path string, n *yaml.Node, depth int) []member {
	if !d.spend(path, n, depth) {
		return nil
	}
	switch source := resolved(n); source.Kind {
	case yaml.MappingNode:
		return d.members(path, source, depth)
	case yaml.SequenceNode:
		var all []member
		for _, item := range source.Content {
			all = append(all, d.merged(path, item, depth+1)...)
		}
		return all
	default:
		d.blame(path, n, "merges (<<) what is not a map, want an alias of a map")
		return nil
	}
}

func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func (d *document) scalar(path string, n *yaml.Node) {
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		d.text(n.Value)
	case "!!null":
		d.out.WriteString("null")
	case "!!bool", "!!int", "!!float":
		if tag != "!!bool" && json.Valid([]byte(n.Value)) {
			d.out.WriteString(n.Value) // numbers stay as they are spelled: 1.50
			return
		}
		var v any
		err := n.Decode(&v)
		text, jsonErr := json.Marshal(v)
		if err != nil || jsonErr != nil {
			d.blame(path, n, "is not a number that JSON has, want one in decimal digits")
			text = []byte("null")
		}
		d.out.Write(text)
	default:
		d.blame(path, n, "has the tag %s, which templates do not know; leave it out", tag)
		d.out.WriteString("null")
	}
}

func (d *document) text(s string) {
	text, err := json.Marshal(s)
	if err != nil {
		text = []byte(`""`) // strings always have a JSON form
	}
	d.out.Write(text)
}
