package grpc

import (
	"context"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/domain/task"
)

type templates struct {
	taskerv1.UnimplementedTemplateServiceServer
	service Service
}

// ListTemplates implements taskerv1.TemplateServiceServer. The counts are of all
// namespaces, whatever the filter.
func (d *templates) ListTemplates(ctx context.Context, in *taskerv1.ListTemplatesRequest) (*taskerv1.ListTemplatesResponse, error) {
	all, err := d.service.ListTemplates(ctx, "")
	if err != nil {
		return nil, err
	}
	out := &taskerv1.ListTemplatesResponse{TotalCount: int64(len(all))}
	for _, st := range all {
		t := st.Definition
		if n := len(out.Namespaces); n == 0 || out.Namespaces[n-1].Name != t.Namespace {
			out.Namespaces = append(out.Namespaces, &taskerv1.NamespaceSummary{Name: t.Namespace})
		}
		out.Namespaces[len(out.Namespaces)-1].TemplateCount++
		if in.GetNamespace() == "" || in.GetNamespace() == t.Namespace {
			out.Templates = append(out.Templates, &taskerv1.TemplateSummary{
				Name: t.Name, Namespace: t.Namespace, Version: t.Version, Description: given(t.Description),
				StepCount: int64(len(t.Steps)),
			})
		}
	}
	return out, nil
}

// GetTemplate implements taskerv1.TemplateServiceServer.
func (d *templates) GetTemplate(ctx context.Context, in *taskerv1.GetTemplateRequest) (*taskerv1.GetTemplateResponse, error) {
	st, err := d.service.GetTemplate(ctx, task.Name{Namespace: in.GetNamespace(), Name: in.GetName(), Version: in.GetVersion()})
	if err != nil {
		return nil, err
	}
	t := st.Definition
	out := &taskerv1.TemplateDetail{
		Name: t.Name, Namespace: t.Namespace, Version: t.Version, Description: given(t.Description),
		Configuration: object(t.Canonical()),
	}
	for i := range t.Steps {
		s := &t.Steps[i]
		out.Steps = append(out.Steps, &taskerv1.StepDefinition{
			Name: s.Name, Description: given(s.Description), DefaultRetryable: s.Retry.Retryable,
			DefaultMaxAttempts: int32(s.Retry.MaxAttempts), //nolint:gosec // G115: validated to at most 100
		})
	}
	return &taskerv1.GetTemplateResponse{Template: out}, nil
}

// given returns nil for text that was not given.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
