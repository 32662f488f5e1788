package template

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

// MaxBytes is the size of the largest template that is read: 16 MiB, enough for
// tens of thousands of steps.
const MaxBytes = 16 << 20

// maxDepth bounds how deep a template may be nested, schemas included.
const maxDepth = 64

// Read makes a template of its JSON form and holds it to every rule. Keys that
// it does not know are ignored, and returned as warnings. The error is a fault
// invalid_template whose details name every problem, or a fault of the document
// as a whole.
func Read(doc []byte) (t *Template, warnings []fault.Detail, err error) {
	return ReadWith(doc, func([]byte) error { return nil })
}

// ReadWith is Read for those who can compile JSON Schemas: what compile says of
// those in the template is told with everything else.
func ReadWith(doc []byte, compile func(schema []byte) error) (t *Template, warnings []fault.Detail, err error) {
	t, r, err := decode(doc)
	if err != nil {
		return nil, nil, err
	}
	problems := r.problems
	for _, d := range t.Validate() {
		if !r.blamed(d.Field) {
			problems = append(problems, d)
		}
	}
	told := make(map[string]bool, len(problems))
	for _, d := range problems {
		told[d.Field] = true
	}
	for _, d := range t.CheckSchemas(compile) {
		if !told[d.Field] {
			problems = append(problems, d)
		}
	}
	if len(problems) > 0 {
		return nil, r.warnings, invalid(problems)
	}
	return t, r.warnings, nil
}

// Parse makes a template of what Canonical returned, now or in an older
// release: it is held to types and shape, and not to limits, which may have
// become stricter since it was accepted. The error is as that of Read.
func Parse(canonical []byte) (*Template, error) {
	t, r, err := decode(canonical)
	if err != nil {
		return nil, err
	}
	problems := r.problems
	if len(problems) == 0 {
		problems = t.shapeDetails()
	}
	if len(problems) > 0 {
		return nil, invalid(problems)
	}
	return t, nil
}

// New makes a template of its exported fields and holds it to every rule, as
// Read does. Fields left empty get their defaults, a step's Retry as a whole.
func New(t Template) (*Template, error) {
	t.Steps = slices.Clone(t.Steps)
	for i := range t.Steps {
		if t.Steps[i].Retry == (Retry{}) {
			t.Steps[i].Retry = DefaultRetry()
		}
	}
	doc, err := compact(&t)
	if err != nil {
		return nil, fault.New(fault.CodeInvalidTemplate, "the template cannot be written as JSON").Because(err)
	}
	made, _, err := Read(doc)
	return made, err
}

func invalid(problems []fault.Detail) *fault.Error {
	e := fault.New(fault.CodeInvalidTemplate, "%s: %s", problems[0].Field, problems[0].Message)
	if len(problems) > 1 {
		e.Message += fmt.Sprintf(" (and %d more)", len(problems)-1)
	}
	e.Field = problems[0].Field
	e.Details = problems
	return e
}

func decode(doc []byte) (*Template, *reader, error) {
	if err := jsondoc.Check("", doc, jsondoc.Limits{MaxBytes: MaxBytes, MaxDepth: maxDepth}); err != nil {
		return nil, nil, err
	}
	r := &reader{}
	t := r.template(r.object("", doc))
	if err := t.seal(); err != nil {
		return nil, nil, fault.New(fault.CodeInternal, "write template").Because(err)
	}
	return t, r, nil
}

// compact returns v as JSON without white space and needless escapes.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (r *reader) template(o *object) *Template {
	t := &Template{
		Name:             o.text("name"),
		Namespace:        o.text("namespace_name"),
		Version:          o.text("version"),
		Description:      o.text("description"),
		IdentityStrategy: cmp.Or(IdentityStrategy(o.text("identity_strategy")), IdentityStrict),
		Metadata:         r.metadata(o),
		InputSchema:      o.document("input_schema"),
	}
	systems := o.child("system_dependencies")
	t.SystemDependencies = SystemDependencies{
		Primary:   cmp.Or(systems.text("primary"), "default"),
		Secondary: systems.texts("secondary"),
	}
	systems.end()
	t.DomainEvents = list(o, "domain_events", func(o *object) DomainEvent {
		return DomainEvent{Name: o.text("name"), Description: o.text("description"), Schema: o.document("schema")}
	})
	t.Steps = list(o, "steps", r.step)
	t.Environments = r.environments(o)
	t.Lifecycle = r.lifecycle(o.child("lifecycle"))
	t.OnFailure = cmp.Or(TaskFailure(o.text("on_failure")), KeepTaskGoing)
	o.end()
	return t
}

// metadata is free but for the types of the keys that are known.
func (r *reader) metadata(o *object) json.RawMessage {
	known := o.child("metadata")
	for _, key := range []string{"author", "documentation_url", "created_at", "updated_at"} {
		known.text(key)
	}
	known.texts("tags")
	return o.mapping("metadata")
}

func (r *reader) step(o *object) Step {
	s := Step{
		Name:             o.text("name"),
		Description:      o.text("description"),
		Type:             cmp.Or(StepType(o.text("type", "step_type")), Standard),
		Dependencies:     o.texts("dependencies", "depends_on"),
		SystemDependency: o.text("system_dependency"),
		Retry:            r.retry(o.child("retry")),
		TimeoutSeconds:   o.limit("timeout_seconds"),
		ResultSchema:     o.document("result_schema"),
		Composition:      o.document("composition"),
	}
	h := o.child("handler")
	s.Handler = Handler{
		Callable:       h.text("callable"),
		Method:         cmp.Or(h.text("method"), "call"),
		Resolver:       h.text("resolver"),
		Initialization: h.mapping("initialization"),
	}
	h.end()
	s.PublishesEvents = r.publishedEvents(o)
	if o.has("batch_config") {
		b := o.child("batch_config")
		s.BatchConfig = &BatchConfig{
			BatchSize:       b.number("batch_size", 1000),
			Parallelism:     b.number("parallelism", 10),
			CursorField:     cmp.Or(b.text("cursor_field"), "id"),
			WorkerTemplate:  b.text("worker_template"),
			FailureStrategy: cmp.Or(FailureStrategy(b.text("failure_strategy")), ContinueOnFailure),
		}
		b.end()
	}
	return s
}

func (r *reader) retry(o *object) Retry {
	d := DefaultRetry()
	defer o.end()
	return Retry{
		Retryable:     o.flag("retryable", d.Retryable),
		MaxAttempts:   o.number("max_attempts", d.MaxAttempts),
		Backoff:       cmp.Or(Backoff(o.text("backoff")), d.Backoff),
		BackoffBaseMS: o.number("backoff_base_ms", d.BackoffBaseMS),
		MaxBackoffMS:  o.number("max_backoff_ms", d.MaxBackoffMS),
		Jitter:        o.fraction("jitter"),
	}
}

func (r *reader) publishedEvents(o *object) []PublishedEvent {
	seen := make(map[string]bool)
	return list(o, "publishes_events", func(o *object) PublishedEvent {
		e := PublishedEvent{
			Name:         o.text("name"),
			Description:  o.text("description"),
			Condition:    cmp.Or(Condition(o.text("condition")), OnSuccess),
			Schema:       o.document("schema"),
			DeliveryMode: cmp.Or(DeliveryMode(o.text("delivery_mode")), Durable),
			Publisher:    o.text("publisher"),
		}
		if seen[e.Name] {
			r.warn(o.path+".name", "%q is published twice by this step; the last one counts", e.Name)
		}
		seen[e.Name] = true
		return e
	})
}

func (r *reader) environments(o *object) map[string]Environment {
	var all map[string]Environment
	environments := o.child("environments")
	for _, name := range environments.keys() {
		env := environments.child(name)
		e := Environment{Steps: list(env, "steps", func(o *object) Override {
			v := Override{Name: o.text("name"), TimeoutSeconds: o.limit("timeout_seconds")}
			h := o.child("handler")
			v.Handler.Initialization = h.mapping("initialization")
			h.end()
			if o.has("retry") {
				retry := r.retry(o.child("retry"))
				v.Retry = &retry
			}
			return v
		})}
		env.end()
		if all == nil {
			all = make(map[string]Environment)
		}
		all[name] = e
	}
	return all
}

func (r *reader) lifecycle(o *object) Lifecycle {
	defer o.end()
	action := o.text("staleness_action")
	if action != "" && action != "dlq" && action != "error" {
		r.warn(jsondoc.Key(o.path, "staleness_action"), "is not a known action, want dlq or error; it counts as dlq")
	}
	return Lifecycle{
		MaxWaitingForDependenciesMinutes: o.limit("max_waiting_for_dependencies_minutes"),
		MaxWaitingForRetryMinutes:        o.limit("max_waiting_for_retry_minutes"),
		MaxStepsInProcessMinutes:         o.limit("max_steps_in_process_minutes"),
		MaxDurationMinutes:               o.limit("max_duration_minutes"),
		StalenessAction:                  action,
		AutoFailOnTimeout:                o.optionalFlag("auto_fail_on_timeout"),
		AutoDLQOnTimeout:                 o.optionalFlag("auto_dlq_on_timeout"),
	}
}
