package ports

import (
	"context"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
)

// StoredTemplate is a registered revision. It never changes.
type StoredTemplate struct {
	ID         ident.TemplateID
	Revision   int
	Definition *template.Template
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
}
