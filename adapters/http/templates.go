package http

import (
	"context"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/task"
)

// NamespaceSummary is a namespace and how much is in it.
type NamespaceSummary struct {
	Name          string  `json:"name"`
	Description   *string `json:"description"`
	TemplateCount int     `json:"template_count"`
}

// TemplateSummary is a template in a list.
type TemplateSummary struct {
	Name        string  `json:"name"`
	Namespace   string  `json:"namespace"`
	Version     string  `json:"version"`
	Description *string `json:"description"`
	StepCount   int     `json:"step_count"`
}

// TemplateListResponse is what templates there are.
type TemplateListResponse struct {
	Namespaces []NamespaceSummary `json:"namespaces" nullable:"false" doc:"All of them, whatever the filter."`
	Templates  []TemplateSummary  `json:"templates" nullable:"false" doc:"By namespace, name and version."`
	TotalCount int                `json:"total_count" doc:"Templates of all namespaces."`
}

// TemplateStep is a step of a template.
type TemplateStep struct {
	Name               string   `json:"name"`
	Description        *string  `json:"description"`
	DefaultRetryable   bool     `json:"default_retryable"`
	DefaultMaxAttempts int      `json:"default_max_attempts"`
	ResultSchema       *anyJSON `json:"result_schema" doc:"JSON Schema of the result, or null."`
}

// TemplateDetail is a template.
type TemplateDetail struct {
	Name          string         `json:"name"`
	Namespace     string         `json:"namespace"`
	Version       string         `json:"version"`
	Description   *string        `json:"description"`
	Configuration *anyJSON       `json:"configuration" doc:"Always null."`
	Steps         []TemplateStep `json:"steps" nullable:"false"`
}

type templatesInput struct {
	Namespace string `query:"namespace" doc:"Only templates of this namespace."`
}

type templatesOutput struct{ Body TemplateListResponse }

type templateInput struct {
	Namespace string `path:"namespace"`
	Name      string `path:"name"`
	Version   string `path:"version"`
}

type templateOutput struct{ Body TemplateDetail }

func registerTemplates(a *api, s Service) {
	register(a, app.ListTemplates, func(ctx context.Context, in *templatesInput) (*templatesOutput, error) {
		all, err := s.ListTemplates(ctx, "") // the counts are of all namespaces
		if err != nil {
			return nil, err
		}
		out := &templatesOutput{Body: TemplateListResponse{
			Namespaces: []NamespaceSummary{}, Templates: []TemplateSummary{}, TotalCount: len(all),
		}}
		b := &out.Body
		for _, st := range all {
			d := st.Definition
			if n := len(b.Namespaces); n == 0 || b.Namespaces[n-1].Name != d.Namespace {
				b.Namespaces = append(b.Namespaces, NamespaceSummary{Name: d.Namespace})
			}
			b.Namespaces[len(b.Namespaces)-1].TemplateCount++
			if in.Namespace == "" || in.Namespace == d.Namespace {
				b.Templates = append(b.Templates, TemplateSummary{
					Name: d.Name, Namespace: d.Namespace, Version: d.Version, Description: given(d.Description), StepCount: len(d.Steps),
				})
			}
		}
		return out, nil
	})
	register(a, app.GetTemplate, func(ctx context.Context, in *templateInput) (*templateOutput, error) {
		st, err := s.GetTemplate(ctx, task.Name{Namespace: in.Namespace, Name: in.Name, Version: in.Version})
		if err != nil {
			return nil, err
		}
		d := st.Definition
		out := &templateOutput{Body: TemplateDetail{
			Name: d.Name, Namespace: d.Namespace, Version: d.Version, Description: given(d.Description),
			Steps: make([]TemplateStep, len(d.Steps)),
		}}
		for i := range d.Steps {
			step := &d.Steps[i]
			out.Body.Steps[i] = TemplateStep{
				Name: step.Name, Description: given(step.Description),
				DefaultRetryable: step.Retry.Retryable, DefaultMaxAttempts: step.Retry.MaxAttempts,
			}
			if len(step.ResultSchema) > 0 {
				schema := anyJSON(step.ResultSchema)
				out.Body.Steps[i].ResultSchema = &schema
			}
		}
		return out, nil
	})
}

// given returns nil for text that was not given.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
