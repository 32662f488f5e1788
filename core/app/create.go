package app

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/app/catalog"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
)

// CreateRequest asks for a task. Only the first three fields are required.
type CreateRequest struct {
	Name, Namespace, Version string
	Context                  json.RawMessage // an object; empty for {}
	Options                  json.RawMessage // an object; empty for none
	Initiator                string          // default "system"
	SourceSystem             string          // default "tasker-core"
	Reason                   string          // default "Task requested"
	Tags                     []string
	Priority                 int32     // -100..100, larger runs sooner
	RequestedAt              time.Time // zero for now
	CorrelationID            string    // UUID; made when empty
	ParentCorrelationID      string    // UUID; empty for none
	IdempotencyKey           string
	StartAt                  time.Time     // not before; zero for at once
	Delay                    time.Duration // the same, counted from the commit; 0 for none
	Deadline                 time.Time     // the task fails if it has not ended by then; zero for what the template says
	OnDuplicate              string        // OnDuplicateReject, the default, or OnDuplicateReturn
}

// What happens to a request whose identity a task has already.
const (
	OnDuplicateReject = "reject" // it is refused with task_exists
	OnDuplicateReturn = "return" // it is answered with that task
)

// Limits of the contract, in characters.
const (
	maxName    = 255
	maxVersion = 50
	maxWho     = 255
	maxReason  = 500
	maxTags    = 100
	maxTag     = 255
	maxKey     = 255
)

// CreateTask stores a task and returns it once it is committed. Faults:
// template_not_found, invalid_field, input_schema_mismatch, payload_too_large,
// task_exists (with the existing task's id in Meta), mailbox_full and what
// Admission refuses with.
func (a *Application) CreateTask(ctx context.Context, r CreateRequest) (Task, error) {
	s, err := a.submission(ctx, r)
	if err != nil {
		return Task{}, err
	}
	if err := a.Admission.Admit(ctx); err != nil {
		return Task{}, err
	}
	got, err := a.Requests.Ask(ctx, s)
	if err != nil {
		return Task{}, err
	}
	if !got.Existing.IsZero() && r.OnDuplicate == OnDuplicateReturn {
		t, err := a.GetTask(ctx, got.Existing)
		t.Existed = true
		return t, err
	}
	if !got.Existing.IsZero() {
		return Task{}, taskExists(got.Existing)
	}
	if got.Task == nil { // a commit of unknown outcome that had succeeded
		return a.GetTask(ctx, s.ID)
	}
	record, steps := created(got.Task, got.At)
	return view(a.Catalog, record, steps, got.At), nil
}

// submission checks a request and names what it asks for.
func (a *Application) submission(ctx context.Context, r CreateRequest) (plan.Submission, error) {
	if err := r.check(a.Limits); err != nil {
		return plan.Submission{}, err
	}
	if err := mayActIn(ctx, r.Namespace); err != nil {
		return plan.Submission{}, err
	}
	name := task.Name{Namespace: r.Namespace, Name: r.Name, Version: r.Version}
	stored, err := a.Catalog.Newest(ctx, name)
	if err != nil {
		return plan.Submission{}, err
	}
	if err := runnable(stored.Definition); err != nil {
		return plan.Submission{}, err
	}
	if err := catalog.Enabled(stored); err != nil {
		return plan.Submission{}, err
	}
	if err := a.Catalog.CheckInput(stored.Definition, r.Context); err != nil {
		return plan.Submission{}, err
	}
	canonical, err := jsondoc.Canonical(r.Context)
	if err != nil {
		return plan.Submission{}, err
	}
	identity, err := task.Identify(task.Strategy(stored.Definition.IdentityStrategy), name, canonical, r.IdempotencyKey)
	if err != nil {
		return plan.Submission{}, fault.In("idempotency_key", fault.CodeMissingIdempotency, "%s", err)
	}
	s := plan.Submission{
		ID: a.IDs.Task(), Template: stored.ID, Definition: stored.Definition, Identity: identity,
		Context: r.Context, Options: r.Options, Tags: r.Tags, Priority: r.Priority, RequestedAt: r.RequestedAt,
		StartAt: r.StartAt, Delay: r.Delay, Deadline: r.Deadline,
		Initiator: or(r.Initiator, "system"), SourceSystem: or(r.SourceSystem, "tasker-core"),
		Reason: or(r.Reason, "Task requested"), CorrelationID: a.IDs.UUID(),
	}
	if r.CorrelationID != "" {
		if s.CorrelationID, err = uuid.Parse(r.CorrelationID); err != nil {
			return plan.Submission{}, badUUID("correlation_id")
		}
	}
	if r.ParentCorrelationID != "" {
		parent, err := uuid.Parse(r.ParentCorrelationID)
		if err != nil {
			return plan.Submission{}, badUUID("parent_correlation_id")
		}
		s.ParentCorrelationID = uuid.NullUUID{UUID: parent, Valid: true}
	}
	return s, nil
}

// runnable refuses templates whose steps decide at run time which others exist.
func runnable(def *template.Template) error {
	for i := range def.Steps {
		if s := &def.Steps[i]; s.Type != template.Standard {
			return fault.New(fault.CodeTemplateNotRunnable,
				"%s/%s/%s cannot run yet: its step %s is of type %s, and only standard steps are supported",
				def.Namespace, def.Name, def.Version, s.Name, s.Type)
		}
	}
	return nil
}

func (r *CreateRequest) check(limits Limits) error {
	for _, f := range []struct {
		field, value string
		longest      int
		required     bool
	}{
		{"name", r.Name, maxName, true},
		{"namespace", r.Namespace, maxName, true},
		{"version", r.Version, maxVersion, true},
		{"initiator", r.Initiator, maxWho, false},
		{"source_system", r.SourceSystem, maxWho, false},
		{"reason", r.Reason, maxReason, false},
		{"idempotency_key", r.IdempotencyKey, maxKey, false},
	} {
		if f.required && f.value == "" {
			return fault.In(f.field, fault.CodeInvalidField, "%s is missing or empty", f.field)
		}
		if err := jsondoc.CheckText(f.field, f.value, f.longest); err != nil {
			return err
		}
	}
	if len(r.Tags) > maxTags {
		return fault.In("tags", fault.CodeInvalidField, "%d tags, want at most %d", len(r.Tags), maxTags)
	}
	for i, tag := range r.Tags {
		if err := jsondoc.CheckText(fmt.Sprintf("tags[%d]", i), tag, maxTag); err != nil {
			return err
		}
	}
	if r.Priority < -100 || r.Priority > 100 {
		return fault.In("priority", fault.CodeInvalidField, "priority is %d, want -100 to 100", r.Priority)
	}
	switch r.OnDuplicate {
	case "", OnDuplicateReject, OnDuplicateReturn:
	default:
		return fault.In("on_duplicate", fault.CodeInvalidField, "on_duplicate is neither %s nor %s", OnDuplicateReject, OnDuplicateReturn)
	}
	if err := r.checkTimes(time.Now()); err != nil { //nolint:forbidigo // a sanity check; the database's clock decides
		return err
	}
	return r.checkDocuments(limits)
}

// farthest is how far in the future a start or a deadline may be.
const farthest = 10 * 365 * 24 * time.Hour

func (r *CreateRequest) checkTimes(now time.Time) error {
	for field, at := range map[string]time.Time{"start_at": r.StartAt, "deadline": r.Deadline} {
		if at.After(now.Add(farthest)) {
			return fault.In(field, fault.CodeInvalidField, "%s is more than ten years ahead", field)
		}
	}
	switch {
	case r.Delay < 0 || r.Delay > farthest:
		return fault.In("delay_seconds", fault.CodeInvalidField, "delay_seconds is out of range, want 0 to %.0f", farthest.Seconds())
	case r.Delay > 0 && !r.StartAt.IsZero():
		return fault.In("delay_seconds", fault.CodeInvalidField, "give start_at or delay_seconds, not both")
	}
	if !r.Deadline.IsZero() && (!r.Deadline.After(r.StartAt) || !r.Deadline.After(now.Add(r.Delay)) || !r.Deadline.After(now)) {
		return fault.In("deadline", fault.CodeInvalidField, "deadline has to be after now and after start_at")
	}
	return nil
}

func (r *CreateRequest) checkDocuments(limits Limits) error {
	if isNull(r.Context) {
		r.Context = json.RawMessage("{}")
	}
	if isNull(r.Options) {
		r.Options = nil
	}
	for field, doc := range map[string]json.RawMessage{"context": r.Context, "options": r.Options} {
		if doc == nil {
			continue
		}
		if err := jsondoc.Check(field, doc, limits.Context); err != nil {
			return err
		}
		if first(doc) != '{' {
			return fault.In(field, fault.CodeInvalidField, "%s must be an object", field)
		}
	}
	return nil
}

func isNull(doc json.RawMessage) bool {
	return len(doc) == 0 || string(doc) == "null"
}

// first returns the first byte that is not white space; doc is JSON.
func first(doc json.RawMessage) byte {
	for _, c := range doc {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func badUUID(field string) error {
	return fault.In(field, fault.CodeInvalidUUID, "%s is %s", field, ident.ErrMalformed)
}

func refOf(n *plan.NewTask, s plan.NewStep) ident.StepRef {
	return ident.StepRef{Task: n.Task.ID, No: s.No}
}

// Seconds is a number of seconds as a client gives it; what is too large for a
// time is the largest.
func Seconds(n float64) time.Duration {
	if limit := float64(math.MaxInt64 / int64(time.Second)); n > limit || n < -limit {
		return time.Duration(math.Copysign(limit, n)) * time.Second
	}
	return time.Duration(n * float64(time.Second))
}
