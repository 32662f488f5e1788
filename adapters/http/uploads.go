package http

import (
	"bytes"
	"context"
	"encoding/hex"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// templateMedia are the kinds of text that templates come in.
var templateMedia = []string{"application/yaml", "application/x-yaml", "text/yaml", "application/json"}

// TemplateRevision is a template as it is stored.
type TemplateRevision struct {
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	Revision    *int   `json:"revision" doc:"Newest content that is stored under the version, counted from 1; null for none."`
	Changed     bool   `json:"changed" doc:"The content differs from what is stored."`
	Steps       int    `json:"steps" doc:"How many it has."`
	ContentHash string `json:"content_hash" doc:"Of the content, in hexadecimal digits."`
}

// RegisteredResponse is what was stored.
type RegisteredResponse struct {
	Templates []TemplateRevision `json:"templates" nullable:"false"`
}

// TemplateProblem is something to be said about a place in a text.
type TemplateProblem struct {
	Line    int    `json:"line" doc:"Counted from 1; 0 when it is about the whole text."`
	Column  int    `json:"column" doc:"Counted from 1; 0 when it is about the whole text."`
	Field   string `json:"field" doc:"A dotted path; may be empty."`
	Message string `json:"message" doc:"What is wrong and what would be right."`
}

// ValidationResponse is what a text comes to.
type ValidationResponse struct {
	Valid     bool               `json:"valid" doc:"There is no problem, but perhaps a warning."`
	Problems  []TemplateProblem  `json:"problems" nullable:"false"`
	Warnings  []TemplateProblem  `json:"warnings" nullable:"false" doc:"What has no effect."`
	Templates []TemplateRevision `json:"templates" nullable:"false" doc:"Those that are valid."`
}

// DisabledResponse says whether new tasks are taken.
type DisabledResponse struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	Disabled  bool   `json:"disabled"`
}

type uploadInput struct {
	Revise  bool   `query:"revise" doc:"Other content under a used version is its next revision."`
	RawBody []byte `contentType:"application/yaml"`
}

type validateInput struct {
	RawBody []byte `contentType:"application/yaml"`
}

func registerUploads(a *api, s Service) {
	register(a, app.RegisterTemplates, func(ctx context.Context, in *uploadInput) (*read[RegisteredResponse], error) {
		stored, err := s.RegisterTemplates(ctx, bytes.Clone(in.RawBody), in.Revise)
		if err != nil {
			return nil, err
		}
		out := &read[RegisteredResponse]{Body: RegisteredResponse{Templates: make([]TemplateRevision, len(stored))}}
		for i := range stored {
			out.Body.Templates[i] = revisionOf(stored[i].Definition, &stored[i])
		}
		return out, nil
	})
	register(a, app.ValidateTemplates, func(ctx context.Context, in *validateInput) (*read[ValidationResponse], error) {
		r, err := s.ValidateTemplates(ctx, bytes.Clone(in.RawBody))
		if err != nil {
			return nil, err
		}
		out := &read[ValidationResponse]{Body: ValidationResponse{
			Valid: len(r.Problems) == 0, Problems: findings(r.Problems), Warnings: findings(r.Warnings), Templates: []TemplateRevision{},
		}}
		if r.Template != nil {
			out.Body.Templates = append(out.Body.Templates, revisionOf(r.Template, r.Known))
		}
		return out, nil
	})
	register(a, app.DisableTemplate, func(ctx context.Context, in *templateActionInput) (*acted[DisabledResponse], error) {
		words, unknown, err := readSaid(ctx, in.RawBody)
		if err != nil {
			return nil, err
		}
		if err := s.DisableTemplate(ctx, in.template(), words.by, words.why); err != nil {
			return nil, err
		}
		return in.disabled(true, unknown), nil
	})
	register(a, app.EnableTemplate, func(ctx context.Context, in *templateActionInput) (*acted[DisabledResponse], error) {
		_, unknown, err := readSaid(ctx, in.RawBody)
		if err != nil {
			return nil, err
		}
		if err := s.EnableTemplate(ctx, in.template()); err != nil {
			return nil, err
		}
		return in.disabled(false, unknown), nil
	})
}

func (in *templateActionInput) disabled(is bool, unknown []string) *acted[DisabledResponse] {
	return &acted[DisabledResponse]{UnknownFields: unknownNames(unknown), Body: DisabledResponse{
		Namespace: in.Namespace, Name: in.Name, Version: in.Version, Disabled: is,
	}}
}

// revisionOf compares a template with the newest that is stored; nil for none.
func revisionOf(t *template.Template, known *ports.StoredTemplate) TemplateRevision {
	hash := t.Hash()
	r := TemplateRevision{
		Namespace: t.Namespace, Name: t.Name, Version: t.Version, Steps: len(t.Steps), ContentHash: hex.EncodeToString(hash[:]),
	}
	if known != nil {
		r.Revision, r.Changed = &known.Revision, known.Definition.Hash() != hash
	}
	return r
}

func findings(all []ports.TemplateFinding) []TemplateProblem {
	out := make([]TemplateProblem, len(all))
	for i, f := range all {
		out[i] = TemplateProblem{Line: f.Line, Column: f.Column, Field: f.Field, Message: f.Message}
	}
	return out
}
