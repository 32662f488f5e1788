// Package templates reads task templates from files and from what clients send,
// in YAML or JSON. What a template may say is the domain's matter; this package
// knows files, syntax, and where in a text each value stands.
package templates

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// Finding is something to be said about a place in a file.
type Finding struct {
	File         string
	Line, Column int    // counted from 1; 0 when it is about the file as a whole
	Field        string // dotted path, as the file spells it; may be empty
	Message      string // what is wrong and what would be right
}

// String returns "file:line:column: field: message", without what is unknown.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	if f.Field != "" {
		b.WriteString(f.Field + ": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Findings is an error when it says what keeps templates from being read.
type Findings []Finding

// Error returns all findings, one a line.
func (all Findings) Error() string {
	lines := make([]string, len(all))
	for i, f := range all {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Reader reads templates. It is safe for concurrent use. Without Schemas, the
// JSON Schemas in templates are not compiled.
type Reader struct {
	Schemas ports.InputSchemas
}

var _ ports.TemplateReader = Reader{}

func (r Reader) compile(schema []byte) error {
	if r.Schemas == nil {
		return nil
	}
	return r.Schemas.Compile(schema)
}

// MaxUpload is the size of the largest text that Read takes: 4 MiB, enough for
// more than 10,000 steps. Clients do not get to fill the memory of a server;
// files may be larger.
const MaxUpload = 4 << 20

// Read implements ports.TemplateReader.
func (r Reader) Read(text []byte) ports.TemplateReading {
	if len(text) > MaxUpload {
		return ports.TemplateReading{Problems: []ports.TemplateFinding{{Message: fmt.Sprintf(
			"the template has %d bytes, want at most %d; larger ones can be read from files", len(text), MaxUpload)}}}
	}
	d := r.parse("", text, maxSent)
	return ports.TemplateReading{Template: d.template, Problems: d.problems.placed(), Warnings: d.warnings.placed()}
}

func (all Findings) placed() []ports.TemplateFinding {
	out := make([]ports.TemplateFinding, len(all))
	for i, f := range all {
		out[i] = ports.TemplateFinding{Line: f.Line, Column: f.Column, Field: f.Field, Message: f.Message}
	}
	return out
}

// Parse reads the one template that the text of a file holds; file is its name
// for messages. The warnings tell what was ignored. The error is Findings with
// everything that is wrong.
func (r Reader) Parse(file string, text []byte) (t *template.Template, warnings Findings, err error) {
	d := r.parse(file, text, maxNodes)
	if len(d.problems) > 0 {
		return nil, d.warnings, d.problems
	}
	return d.template, d.warnings, nil
}

// Load reads all files *.yml and *.yaml in a folder and below it, in the order of
// their names, leaving out names that begin with a dot; or the one file that
// place names. The warnings tell what was ignored in them. The error is Findings
// with everything wrong in any of them, or says why place cannot be read.
func (r Reader) Load(place string) (ts []*template.Template, warnings Findings, err error) {
	if about, err := os.Stat(place); err == nil && !about.IsDir() {
		dir, name := filepath.Split(place)
		return r.loadAll(os.DirFS(filepath.Clean(dir)), dir, []string{name})
	}
	return r.load(os.DirFS(place), place)
}

// LoadFS is Load for the files of a program, such as those it has embedded.
func (r Reader) LoadFS(fsys fs.FS) (ts []*template.Template, warnings Findings, err error) {
	return r.load(fsys, "")
}

// Load is that of a Reader without Schemas.
func Load(place string) (ts []*template.Template, warnings Findings, err error) {
	return Reader{}.Load(place)
}

// LoadFS is that of a Reader without Schemas.
func LoadFS(fsys fs.FS) (ts []*template.Template, warnings Findings, err error) {
	return Reader{}.LoadFS(fsys)
}

func (r Reader) load(fsys fs.FS, dir string) ([]*template.Template, Findings, error) {
	names, err := files(fsys)
	if err != nil {
		return nil, nil, fmt.Errorf("read templates in %s: %w", cmp.Or(dir, "."), err)
	}
	return r.loadAll(fsys, dir, names)
}

func (r Reader) loadAll(fsys fs.FS, dir string, names []string) ([]*template.Template, Findings, error) {
	type identity struct{ namespace, name, version string }
	var (
		ts                 []*template.Template
		warnings, problems Findings
		taken              = make(map[identity]string)
	)
	for _, name := range names {
		shown := filepath.Join(dir, filepath.FromSlash(name))
		d, err := r.open(fsys, name, shown)
		if err != nil {
			return nil, nil, fmt.Errorf("read template %s: %w", shown, err)
		}
		warnings = append(warnings, d.warnings...)
		if len(d.problems) > 0 {
			problems = append(problems, d.problems...)
			continue
		}
		t := d.template
		id := identity{t.Namespace, t.Name, t.Version}
		if first, again := taken[id]; again {
			problems = append(problems, d.finding("version", fmt.Sprintf(
				"%s/%s %s is defined by %s too, want each version in one file", t.Namespace, t.Name, t.Version, first)))
			continue
		}
		taken[id] = shown
		ts = append(ts, t)
	}
	if len(problems) > 0 {
		return nil, warnings, problems
	}
	return ts, warnings, nil
}

// files returns the names of all files that may hold a template, sorted.
func files(fsys fs.FS) ([]string, error) {
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(d.Name(), "."):
			// Hidden: among others the folders through which Kubernetes swaps mounted files.
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case slices.Contains([]string{".yml", ".yaml"}, strings.ToLower(path.Ext(name))):
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// open reads one file. The error is for files that cannot be read at all.
func (r Reader) open(fsys fs.FS, name, shown string) (*document, error) {
	about, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	switch {
	case !about.Mode().IsRegular():
		return &document{file: shown, problems: Findings{{File: shown, Message: "is not a regular file"}}}, nil
	case about.Size() > template.MaxBytes:
		return &document{file: shown, problems: Findings{tooLarge(shown)}}, nil
	}
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return r.parse(shown, data, maxNodes), nil
}

func tooLarge(file string) Finding {
	return Finding{File: file, Message: fmt.Sprintf("is larger than %d bytes, want a smaller template", template.MaxBytes)}
}
