package grpc

import (
	"context"
	"encoding/hex"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

func templateName(in *taskerv1.TemplateActionRequest) task.Name {
	return task.Name{Namespace: in.GetNamespace(), Name: in.GetName(), Version: in.GetVersion()}
}

// RegisterTemplates implements taskerv1.OperatorServiceServer.
func (d *operators) RegisterTemplates(ctx context.Context, in *taskerv1.RegisterTemplatesRequest) (*taskerv1.RegisterTemplatesResponse, error) {
	stored, err := d.service.RegisterTemplates(ctx, []byte(in.GetText()), in.GetRevise())
	if err != nil {
		return nil, err
	}
	return &taskerv1.RegisterTemplatesResponse{Templates: each(stored, func(s *ports.StoredTemplate) *taskerv1.TemplateRevision {
		return toRevision(s.Definition, s)
	})}, nil
}

// ValidateTemplates implements taskerv1.OperatorServiceServer.
func (d *operators) ValidateTemplates(ctx context.Context, in *taskerv1.ValidateTemplatesRequest) (*taskerv1.ValidateTemplatesResponse, error) {
	r, err := d.service.ValidateTemplates(ctx, []byte(in.GetText()))
	if err != nil {
		return nil, err
	}
	out := &taskerv1.ValidateTemplatesResponse{
		Valid: len(r.Problems) == 0, Problems: each(r.Problems, toProblem), Warnings: each(r.Warnings, toProblem),
	}
	if r.Template != nil {
		out.Templates = []*taskerv1.TemplateRevision{toRevision(r.Template, r.Known)}
	}
	return out, nil
}

// DisableTemplate implements taskerv1.OperatorServiceServer.
func (d *operators) DisableTemplate(ctx context.Context, in *taskerv1.TemplateActionRequest) (*taskerv1.TemplateActionResponse, error) {
	return &taskerv1.TemplateActionResponse{}, d.service.DisableTemplate(ctx, templateName(in), actor(ctx, in.GetBy()), in.GetReason())
}

// EnableTemplate implements taskerv1.OperatorServiceServer.
func (d *operators) EnableTemplate(ctx context.Context, in *taskerv1.TemplateActionRequest) (*taskerv1.TemplateActionResponse, error) {
	return &taskerv1.TemplateActionResponse{}, d.service.EnableTemplate(ctx, templateName(in))
}

// toRevision compares a template with the newest that is stored; nil for none.
func toRevision(t *template.Template, known *ports.StoredTemplate) *taskerv1.TemplateRevision {
	hash := t.Hash()
	out := &taskerv1.TemplateRevision{
		Namespace: t.Namespace, Name: t.Name, Version: t.Version, Steps: int32(len(t.Steps)), //nolint:gosec // G115: at most MaxSteps
		ContentHash: hex.EncodeToString(hash[:]),
	}
	if known != nil {
		out.Revision, out.Changed = int32(known.Revision), known.Definition.Hash() != hash //nolint:gosec // G115: counted up
	}
	return out
}

func toProblem(f *ports.TemplateFinding) *taskerv1.TemplateProblem {
	return &taskerv1.TemplateProblem{Line: int32(f.Line), Column: int32(f.Column), Field: f.Field, Message: f.Message} //nolint:gosec // G115: of a message
}
