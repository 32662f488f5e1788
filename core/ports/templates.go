package ports

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
)

// StoredTemplate is a registered revision. It never changes, apart from whether
// its version is disabled.
type StoredTemplate struct {
	ID         ident.TemplateID
	Revision   int
	Definition *template.Template
	Disabled   *Hold // nil while tasks of the version may be created; ByID leaves it out
}

// Hold is who holds something back, why, and since when.
type Hold struct {
	By    string
	Why   string
	Since time.Time
}

// TemplateStore keeps every revision of every template.
type TemplateStore interface {
	// Register stores templates. The same content again is the same revision.
	// Other content under a used version is a fault template_changed, and
	// nothing is stored, unless revise is true: then it is the next revision.
	Register(ctx context.Context, ts []*template.Template, revise bool) ([]StoredTemplate, error)
	// Latest returns the newest revision of a version, or a fault
	// template_not_found.
	Latest(ctx context.Context, name task.Name) (StoredTemplate, error)
	// ByID returns revisions; unknown ids are left out.
	ByID(ctx context.Context, ids []ident.TemplateID) ([]StoredTemplate, error)
	// List returns the newest revision of every version, ordered by namespace,
	// name and version. An empty namespace means all.
	List(ctx context.Context, namespace string) ([]StoredTemplate, error)
	// Disable says that no more tasks of a version are to be created, whatever
	// its revision; those that exist go on. A version that is disabled already
	// stays as it is. The fault for an unknown version is template_not_found.
	Disable(ctx context.Context, name task.Name, by, why string) error
	// Enable ends that, if need be. Faults are those of Disable.
	Enable(ctx context.Context, name task.Name) error
}

// TemplateReader makes templates of the text that people write.
type TemplateReader interface {
	// Read reads one template, in YAML or JSON, and holds it to every rule, its
	// JSON Schemas included.
	Read(text []byte) TemplateReading
}

// TemplateReading is what a text says.
type TemplateReading struct {
	Template *template.Template // nil when there are problems
	Problems []TemplateFinding  // in the order of the text
	Warnings []TemplateFinding  // what has no effect, in the order of the text
}

// TemplateFinding is something to be said about a place in a text.
type TemplateFinding struct {
	Line, Column int    // counted from 1; 0 when it is about the text as a whole
	Field        string // dotted path, as the text spells it; may be empty
	Message      string // what is wrong and what would be right
}

// String returns "line 3, column 5: field: message", without what is unknown.
func (f TemplateFinding) String() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", f.Line, f.Column)
	}
	if f.Field != "" {
		b.WriteString(f.Field + ": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Err returns a fault invalid_template that tells all problems with their
// places, or nil when there are none.
func (r TemplateReading) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	first := r.Problems[0]
	e := fault.In(first.Field, fault.CodeInvalidTemplate, "%s", first)
	if more := len(r.Problems) - 1; more > 0 {
		e.Message += fmt.Sprintf(" (and %d more)", more)
	}
	for _, p := range r.Problems {
		field := p.Field
		p.Field = ""
		e.Details = append(e.Details, fault.Detail{Field: field, Message: p.String()})
	}
	return e
}
