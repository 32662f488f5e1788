package client

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

func (r *rest) doBulk(ctx context.Context, act taskAct, b *Bulk) (BulkOperation, error) {
	if slices.Contains(b.Filter.States, TaskPending) {
		return BulkOperation{}, badRequest("filter.states", "over REST the word pending means every task that is not complete: name other states, or use gRPC")
	}
	filter := map[string]any{}
	for name, values := range b.Filter.query() {
		if name == "status" || name == "tags" {
			filter[name] = values
		} else {
			filter[name] = values[0]
		}
	}
	return fetch[BulkOperation](ctx, r, post(struct {
		Filter map[string]any `json:"filter"`
		DryRun bool           `json:"dry_run"`
		Limit  int            `json:"limit,omitempty"`
		Rate   float64        `json:"rate,omitempty"`
		Said
	}{filter, b.DryRun, b.Limit, b.Rate, b.Said}, "v1", "tasks", "bulk", string(act)))
}

func (r *rest) getBulk(ctx context.Context, id string) (BulkOperation, error) {
	return fetch[BulkOperation](ctx, r, get("v1", "bulk-operations", id))
}

func (r *rest) cancelBulk(ctx context.Context, id string, s Said) (BulkOperation, error) {
	return fetch[BulkOperation](ctx, r, remove(s, "v1", "bulk-operations", id))
}

func (r *rest) listSteps(ctx context.Context, task string) ([]Step, error) {
	all, err := fetch[[]Step](ctx, r, get("v1", "tasks", task, "workflow_steps"))
	for i := range all {
		all[i].Results = orNil(all[i].Results)
	}
	return all, err
}

func (r *rest) getStep(ctx context.Context, task, step string) (Step, error) {
	s, err := fetch[Step](ctx, r, get("v1", "tasks", task, "workflow_steps", step))
	s.Results = orNil(s.Results)
	return s, err
}

// orNil returns nil for null.
func orNil(j JSON) JSON {
	if string(j) == "null" {
		return nil
	}
	return j
}

func (r *rest) actOnStep(ctx context.Context, task, step string, a *StepAction) (Step, error) {
	body := map[string]any{"action_type": a.Kind, "reason": a.Reason}
	by := map[StepActionKind]string{ResetForRetry: "reset_by", ResolveManually: "resolved_by", CompleteManually: "completed_by"}[a.Kind]
	if by != "" && a.By != "" {
		body[by] = a.By
	}
	if a.Result != nil || a.Metadata != nil {
		data := map[string]any{"result": a.Result}
		if a.Metadata != nil {
			data["metadata"] = a.Metadata
		}
		body["completion_data"] = data
	}
	if a.Inputs != nil {
		body["inputs"] = a.Inputs
	}
	s, err := fetch[Step](ctx, r, request{method: http.MethodPatch, path: path("v1", "tasks", task, "workflow_steps", step), body: body})
	s.Results = orNil(s.Results)
	return s, err
}

func (r *rest) stepAudit(ctx context.Context, task, step string) ([]AuditRow, error) {
	return fetch[[]AuditRow](ctx, r, get("v1", "tasks", task, "workflow_steps", step, "audit"))
}

func (r *rest) listTemplates(ctx context.Context, namespace string) (TemplateList, error) {
	q := get("v1", "templates")
	q.query = url.Values{}
	set(q.query, "namespace", namespace)
	return fetch[TemplateList](ctx, r, q)
}

func (r *rest) getTemplate(ctx context.Context, namespace, name, version string) (Template, error) {
	return fetch[Template](ctx, r, get("v1", "templates", namespace, name, version))
}

func (r *rest) registerTemplate(ctx context.Context, text string, revise bool) ([]TemplateRevision, error) {
	q := request{method: http.MethodPost, path: path("v1", "templates"), text: text}
	if revise {
		q.query = url.Values{"revise": {"true"}}
	}
	a, err := fetch[struct {
		Templates []TemplateRevision `json:"templates"`
	}](ctx, r, q)
	return a.Templates, err
}

func (r *rest) validateTemplate(ctx context.Context, text string) (TemplateReport, error) {
	return fetch[TemplateReport](ctx, r, request{method: http.MethodPost, path: path("v1", "templates", "validate"), text: text})
}

func (f *DeadLetterFilter) query() url.Values {
	q := url.Values{}
	reasons := make([]string, len(f.Reasons))
	for i, r := range f.Reasons {
		reasons[i] = string(r)
	}
	set(q, "reason", strings.Join(reasons, ","))
	set(q, "resolution_status", string(f.Status))
	set(q, "namespace", f.Namespace)
	set(q, "name", f.Name)
	set(q, "version", f.Version)
	set(q, "fingerprint", f.Fingerprint)
	setTime(q, "from", f.From)
	setTime(q, "until", f.Until)
	return q
}

func (r *rest) listDeadLetters(ctx context.Context, f *DeadLetterFilter, offset, limit int) ([]DeadLetter, error) {
	q := get("v1", "dlq")
	q.query = f.query()
	q.query.Set("offset", strconv.Itoa(offset))
	q.query.Set("limit", strconv.Itoa(limit))
	all, err := fetch[[]DeadLetter](ctx, r, q)
	for i := range all {
		all[i].Metadata = orNil(all[i].Metadata)
	}
	return all, err
}

func (r *rest) getDeadLetter(ctx context.Context, task string) (DeadLetter, error) {
	l, err := fetch[DeadLetter](ctx, r, get("v1", "dlq", "task", task))
	l.Metadata = orNil(l.Metadata)
	return l, err
}

func (r *rest) updateDeadLetter(ctx context.Context, id string, u *DeadLetterUpdate) error {
	_, err := fetch[none](ctx, r, request{method: http.MethodPatch, path: path("v1", "dlq", "entry", id), body: u})
	return err
}

func (r *rest) resumeDeadLetter(ctx context.Context, id string, resume *Resume) (Task, error) {
	return fetch[Task](ctx, r, post(resume, "v1", "dlq", "entry", id, "resume"))
}

func (r *rest) resumeDeadLetters(ctx context.Context, b *BulkResume) (ResumeOperation, error) {
	filter := map[string]any{}
	for name, values := range b.Filter.query() {
		filter[name] = values[0]
	}
	if len(b.Filter.Reasons) > 0 {
		filter["reason"] = b.Filter.Reasons
	}
	return fetch[ResumeOperation](ctx, r, post(struct {
		Filter        map[string]any `json:"filter"`
		Action        ResumeAction   `json:"action,omitempty"`
		DryRun        bool           `json:"dry_run"`
		Rate          float64        `json:"rate,omitempty"`
		CanaryPercent float64        `json:"canary_percent,omitempty"`
		StopPercent   float64        `json:"stop_percent,omitempty"`
		Limit         int            `json:"limit,omitempty"`
		Said
	}{filter, b.Action, b.DryRun, b.Rate, b.CanaryPercent, b.StopPercent, b.Limit, b.Said}, "v1", "dlq", "resumes"))
}

func (r *rest) getResume(ctx context.Context, id string) (ResumeOperation, error) {
	return fetch[ResumeOperation](ctx, r, get("v1", "dlq", "resumes", id))
}

func (r *rest) cancelResume(ctx context.Context, id string, s Said) (ResumeOperation, error) {
	return fetch[ResumeOperation](ctx, r, remove(s, "v1", "dlq", "resumes", id))
}

func (r *rest) ready(ctx context.Context) error {
	_, err := fetch[none](ctx, r, get("health", "ready"))
	return err
}

func (r *rest) health(ctx context.Context) (Health, error) {
	return fetch[Health](ctx, r, get("health", "detailed"))
}
