package configuration

import (
	_ "embed"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/configuration.md instead of comparing it")

//go:embed testdata/reference_intro.md
var intro string

const originalsIntro = `A configuration file of the original system, tasker-core, is understood:
what both have keeps its name, and what has no meaning here is a warning that names the place and the
reason, while the start goes on. A section stands for everything below it. Two things may need a
change: such a file opens the doors to other machines with credentials switched off, which is
refused as above; and TLS for gRPC is asked for in a section of its own.
`

const referencePath = "../../docs/configuration.md"

// TestReference keeps docs/configuration.md equal to the structs.
func TestReference(t *testing.T) {
	t.Parallel()
	want := newReference(t).write()
	if *update {
		require.NoError(t, os.WriteFile(referencePath, []byte(want), 0o644))
	}
	got, err := os.ReadFile(referencePath)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "run: go test ./bootstrap/configuration -run TestReference -update")
}

// reference is the page in the making, from the doc comments of the structs.
type reference struct {
	t       *testing.T
	structs map[string]string   // type → comment
	fields  map[string][]string // type → comment of each field, in order
	out     strings.Builder
}

func newReference(t *testing.T) *reference {
	t.Helper()
	r := &reference{t: t, structs: map[string]string{}, fields: map[string][]string{}}
	for _, name := range []string{"config.go", "orchestration.go", "auth.go", "secure.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			gen, isGen := decl.(*ast.GenDecl)
			if !isGen || gen.Tok != token.TYPE {
				continue
			}
			spec := gen.Specs[0].(*ast.TypeSpec)
			body, isStruct := spec.Type.(*ast.StructType)
			if !isStruct {
				continue
			}
			r.structs[spec.Name.Name] = gen.Doc.Text()
			for _, f := range body.Fields.List {
				r.fields[spec.Name.Name] = append(r.fields[spec.Name.Name], oneLine(f.Doc.Text()))
			}
		}
	}
	return r
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (r *reference) write() string {
	r.out.WriteString(intro)
	r.out.WriteString("\n## Flags\n\n| Flag | Sets | Default | Meaning |\n|---|---|---|---|\n")
	for _, f := range Flags() {
		fmt.Fprintf(&r.out, "| `--%s %s` | %s | %s | %s |\n", f.Name, f.Value, strings.Join(code(f.Keys...), " "),
			strings.Join(code(nonEmpty(f.Default())...), ""), f.Usage)
	}
	r.section(reflect.TypeFor[Config](), "")
	r.out.WriteString("\n## Keys of the original system\n\n" + originalsIntro + "\n| Key or section | Why it has no effect |\n|---|---|\n")
	for _, o := range originals {
		why := o.why
		if o.only != "" {
			why += "; any value but `" + o.only + "` stops the start"
		}
		fmt.Fprintf(&r.out, "| %s | %s |\n", strings.Join(code(o.keys...), "<br>"), why)
	}
	return r.out.String()
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func code(words ...string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "`" + w + "`"
	}
	return quoted
}

// section writes the keys of t, then the sections below.
func (r *reference) section(t reflect.Type, path string) {
	s := keys()
	require.Len(r.t, r.fields[t.Name()], t.NumField(), "fields of %s in the source", t.Name())
	var rows strings.Builder
	var lists []*leaf
	for i := range t.NumField() {
		name, isKey := t.Field(i).Tag.Lookup("toml")
		l := s.byKey[join(path, name)]
		if !isKey || l == nil {
			continue
		}
		meaning := r.fields[t.Name()][i]
		require.NotEmpty(r.t, meaning, "%s has no comment", l.key)
		ways := append(code(l.variable()), code(nonEmpty(l.env)...)...)
		for _, f := range flags {
			for _, key := range f.Keys {
				if key == l.key {
					ways = append(ways, code("--"+f.Name)...)
				}
			}
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s | %s | %s |\n", name, r.typeOf(l), r.defaultOf(l), r.rangeOf(l),
			strings.Join(ways, "<br>"), meaning)
		if l.kind == kindTables {
			lists = append(lists, l)
		}
	}
	if rows.Len() > 0 {
		r.heading(path, t.Name())
		r.out.WriteString("| Key | Type | Default | Range | Also set by | Meaning |\n|---|---|---|---|---|---|\n" + rows.String())
	}
	for _, l := range lists {
		r.list(l)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if name, isKey := f.Tag.Lookup("toml"); isKey && s.sections[join(path, name)] {
			r.section(f.Type, join(path, name))
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// heading writes the name of a section and the comment of its struct, less the
// name of the Go type.
func (r *reference) heading(path, typeName string) {
	comment := strings.TrimPrefix(strings.TrimPrefix(oneLine(r.structs[typeName]), typeName+" "), "is ")
	require.NotEmpty(r.t, comment, "%s has no comment", typeName)
	fmt.Fprintf(&r.out, "\n## [%s]\n\n%s%s\n\n", path, strings.ToUpper(comment[:1]), comment[1:])
}

// list writes the keys of the tables of a list.
func (r *reference) list(l *leaf) {
	r.heading("["+l.key+"]", l.typ.Elem().Name())
	r.out.WriteString("| Key | Type | Meaning |\n|---|---|---|\n")
	for i := range l.fields {
		f := &l.fields[i]
		fmt.Fprintf(&r.out, "| `%s` | %s | %s |\n", f.key, r.typeOf(f), r.fields[l.typ.Elem().Name()][f.index[0]])
	}
}

func (r *reference) typeOf(l *leaf) string {
	switch {
	case l.typ == reflect.TypeFor[Secret]():
		return "secret text"
	case l.kind == kindAddress:
		return "`host:port`"
	case l.kind == kindBool:
		return "boolean"
	case l.kind == kindText:
		return "text"
	default:
		return strings.TrimPrefix(l.want(), "a ")
	}
}

func (r *reference) defaultOf(l *leaf) string {
	shown := show(l, Default())
	switch {
	case l.unset != "":
		return l.unset
	case l.inherit != "":
		return "that of `" + l.inherit[strings.LastIndex(l.inherit[:strings.LastIndex(l.inherit, ".")], ".")+1:] + "`"
	case l.kind == kindAddress:
		return ""
	case l.kind == kindText && shown == "":
		return "empty"
	default:
		return "`" + shown + "`"
	}
}

func (r *reference) rangeOf(l *leaf) string {
	if len(l.oneOf) > 0 {
		return strings.Join(code(l.oneOf...), " ")
	}
	return strings.Replace(l.bounds, "..", "–", 1)
}
