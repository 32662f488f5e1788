package client

import "context"

// TemplateList has the templates of a namespace, and all namespaces.
type TemplateList struct {
	Namespaces []NamespaceSummary `json:"namespaces"`
	Templates  []TemplateSummary  `json:"templates"`
	Total      int                `json:"total_count"` // over all namespaces
}

// NamespaceSummary counts the templates of a namespace.
type NamespaceSummary struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Templates   int    `json:"template_count"`
}

// TemplateSummary is a template in a list.
type TemplateSummary struct {
	Name        string `json:"name"`
	Namespace   string `json:"namespace"`
	Version     string `json:"version"`
	Description string `json:"description"`
	Steps       int    `json:"step_count"`
}

// Template is a template with its steps.
type Template struct {
	Name        string         `json:"name"`
	Namespace   string         `json:"namespace"`
	Version     string         `json:"version"`
	Description string         `json:"description"`
	Steps       []TemplateStep `json:"steps"`
}

// TemplateStep is a step of a template.
type TemplateStep struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Retryable   bool   `json:"default_retryable"`
	MaxAttempts int    `json:"default_max_attempts"`
}

// TemplateRevision is the content of a version.
type TemplateRevision struct {
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	Revision    int    `json:"revision"` // the newest that is stored; 0 for none
	Changed     bool   `json:"changed"`  // the content differs from what is stored
	Steps       int    `json:"steps"`
	ContentHash string `json:"content_hash"`
}

// TemplateProblem is something wrong with the text of a template.
type TemplateProblem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

// TemplateReport is what is to say about the text of a template.
type TemplateReport struct {
	Valid     bool               `json:"valid"`
	Problems  []TemplateProblem  `json:"problems"`
	Warnings  []TemplateProblem  `json:"warnings"`
	Templates []TemplateRevision `json:"templates"`
}

// ListTemplates lists the templates of a namespace; empty for all.
func (c *Client) ListTemplates(ctx context.Context, namespace string) (TemplateList, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (TemplateList, error) { return c.t.listTemplates(ctx, namespace) })
}

// GetTemplate reads a template.
func (c *Client) GetTemplate(ctx context.Context, namespace, name, version string) (Template, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (Template, error) {
		return c.t.getTemplate(ctx, namespace, name, version)
	})
}

// RegisterTemplate uploads the text of a template, in YAML or JSON. The same
// content again changes nothing; other content under a used version is
// ErrTemplateChanged, or with revise its next revision.
func (c *Client) RegisterTemplate(ctx context.Context, text string, revise bool) ([]TemplateRevision, error) {
	return do(ctx, c, anyway, func(ctx context.Context) ([]TemplateRevision, error) {
		return c.t.registerTemplate(ctx, text, revise)
	})
}

// ValidateTemplate checks the text of a template, and stores nothing.
func (c *Client) ValidateTemplate(ctx context.Context, text string) (TemplateReport, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (TemplateReport, error) { return c.t.validateTemplate(ctx, text) })
}
