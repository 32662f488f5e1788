package app

import (
	"context"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// TemplateReport is what the text of a template comes to.
type TemplateReport struct {
	ports.TemplateReading
	Known *ports.StoredTemplate // the newest revision of the same version; nil for none
}

// ValidateTemplates holds the text of a template to every rule and stores
// nothing.
func (a *Application) ValidateTemplates(ctx context.Context, text []byte) (TemplateReport, error) {
	r := TemplateReport{TemplateReading: a.Reader.Read(text)}
	if t := r.Template; t != nil {
		known, err := a.GetTemplate(ctx, task.Name{Namespace: t.Namespace, Name: t.Name, Version: t.Version})
		if err != nil && !fault.Is(err, fault.CodeTemplateNotFound) {
			return r, err
		}
		if err == nil {
			r.Known = &known
		}
	}
	return r, nil
}

// RegisterTemplates stores the template that a text holds. The same content
// again is the same revision. Faults: invalid_template with all problems,
// template_changed for other content under a used version unless revise is true.
func (a *Application) RegisterTemplates(ctx context.Context, text []byte, revise bool) ([]ports.StoredTemplate, error) {
	r := a.Reader.Read(text)
	if t := r.Template; t != nil {
		noteTemplate(ctx, task.Name{Namespace: t.Namespace, Name: t.Name, Version: t.Version}, "")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if err := mayActIn(ctx, r.Template.Namespace); err != nil {
		return nil, err
	}
	return a.Catalog.Register(ctx, []*template.Template{r.Template}, revise)
}
