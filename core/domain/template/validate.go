package template

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tasker-go/tasker/core/domain/dag"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

// The limits that the contract sets.
const (
	maxName       = 255
	maxNamespace  = 29 // it is part of the names of queues
	maxVersion    = 50
	maxCallable   = 500
	maxAttempts   = 100
	minBackoffMS  = 100
	minMaxBackoff = 1000
	maxBackoffMS  = 3_600_000
	maxBatchSize  = 100_000
	maxParallel   = 1000
	maxWaiting    = 10_080 // minutes: a week
	maxDuration   = 43_200 // minutes: thirty days
	maxAction     = 50
)

var (
	namespacePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	versionPattern   = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
	eventPattern     = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)+$`)
	publisherPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*((::|\.)[A-Za-z_][A-Za-z0-9_]*)*$`)
)

// Validate returns everything that is wrong with the template, in its order,
// with dotted paths such as "steps[2].retry.max_attempts". A template that Read
// or New returned has nothing wrong with it.
func (t *Template) Validate() []fault.Detail {
	v := &validator{t: t}
	v.name("name", t.Name)
	v.namespace()
	v.version()
	oneOf(v, "identity_strategy", t.IdentityStrategy, identityStrategies)
	for i, e := range t.DomainEvents {
		path := at("domain_events", i)
		v.name(path+".name", e.Name)
		v.schema(path+".schema", e.Schema)
	}
	v.schema("input_schema", t.InputSchema)
	switch {
	case len(t.Steps) == 0:
		v.blame("steps", "is empty, want at least one step")
	case len(t.Steps) > ident.MaxSteps:
		v.blame("steps", "has %d steps, want at most %d", len(t.Steps), ident.MaxSteps)
	}
	v.countWorkers()
	shape := t.shapeDetails()
	for i := range t.Steps {
		v.step(i)
		// What is wrong with the shape is told with the step that is to blame.
		for len(shape) > 0 && strings.HasPrefix(shape[0].Field, at("steps", i)+".") {
			v.problems, shape = append(v.problems, shape[0]), shape[1:]
		}
	}
	v.reachable()
	for _, name := range slices.Sorted(maps.Keys(t.Environments)) {
		v.environment(name, t.Environments[name])
	}
	v.lifecycle()
	oneOf(v, "on_failure", t.OnFailure, taskFailures)
	return v.problems
}

// shapeDetails returns what keeps the steps from being a graph.
func (t *Template) shapeDetails() []fault.Detail {
	var details []fault.Detail
	for _, p := range t.shape {
		field := at("steps", p.Node)
		switch {
		case p.Name == "" && p.Kind == dag.DuplicateName:
			continue // told as the lack of a name
		case p.Edge < 0:
			field += ".name"
		default:
			field = at(field+".dependencies", p.Edge)
		}
		details = append(details, fault.Detail{Field: field, Message: p.String()})
	}
	return details
}

type validator struct {
	t        *Template
	problems []fault.Detail
	workers  map[string]int // how many batch workers depend on a step, by its name
}

// countWorkers goes over all edges once, so that checking a template takes time
// in proportion to its size.
func (v *validator) countWorkers() {
	v.workers = make(map[string]int)
	for i := range v.t.Steps {
		w := &v.t.Steps[i]
		if w.Type != BatchWorker {
			continue
		}
		for j, name := range w.Dependencies {
			if j == 0 || name != w.Dependencies[j-1] {
				v.workers[name]++
			}
		}
	}
}

// at returns the path of the i-th item of a list.
func at(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func (v *validator) blame(field, format string, args ...any) {
	v.problems = append(v.problems, fault.Detail{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (v *validator) length(field, s string, limit int) {
	switch n := utf8.RuneCountInString(s); {
	case n == 0:
		v.blame(field, "is missing, want text of 1 to %d characters", limit)
	case n > limit:
		v.blame(field, "has %d characters, want at most %d", n, limit)
	case strings.TrimSpace(s) != s:
		v.blame(field, "begins or ends with white space, want none there")
	case strings.ContainsFunc(s, unicode.IsControl):
		v.blame(field, "has a control character, such as a line break; want none")
	}
}

func (v *validator) name(field, s string) { v.length(field, s, maxName) }

func (v *validator) between(field string, n, least, most int) {
	if n < least || n > most {
		v.blame(field, "is %d, want %d to %d", n, least, most)
	}
}

// atMost is between for numbers of which 0 stands for none.
func (v *validator) atMost(field string, n, most int) {
	if n != 0 {
		v.between(field, n, 1, most)
	}
}

func oneOf[E ~string](v *validator, field string, value E, want []E) {
	if slices.Contains(want, value) {
		return
	}
	words := make([]string, len(want))
	for i, w := range want {
		words[i] = string(w)
	}
	v.blame(field, "is not a known value, want one of %s", strings.Join(words, ", "))
}

// schema does what can be done here; whether it is a JSON Schema is for those
// who can compile it.
func (v *validator) schema(field string, schema json.RawMessage) {
	if schema == nil {
		return
	}
	if kind := kindOf(schema); kind != "a map" && kind != "true or false" {
		v.blame(field, "is %s, want a JSON Schema", kind)
	}
}

func (v *validator) namespace() {
	const field = "namespace_name"
	switch ns := v.t.Namespace; {
	case ns == "":
		v.blame(field, "is missing, want 1 to %d letters, digits or underscores", maxNamespace)
	case len(ns) > maxNamespace:
		v.blame(field, "has %d characters, want at most %d", utf8.RuneCountInString(ns), maxNamespace)
	case !namespacePattern.MatchString(ns):
		v.blame(field, "has other characters, want letters, digits and underscores, no digit first")
	}
}

func (v *validator) version() {
	switch version := v.t.Version; {
	case version == "":
		v.blame("version", "is missing, want three numbers like 1.0.0")
	case len(version) > maxVersion:
		v.blame("version", "has %d characters, want at most %d", utf8.RuneCountInString(version), maxVersion)
	case !versionPattern.MatchString(version):
		v.blame("version", "is not a version, want three numbers like 1.0.0, or 1.0.0-rc.1")
	}
}

func (v *validator) step(i int) {
	s, path := &v.t.Steps[i], at("steps", i)
	v.name(path+".name", s.Name)
	if s.Name == AllSteps {
		v.blame(path+".name", "is %s, which stands for every step in environments; want another name", AllSteps)
	}
	oneOf(v, path+".type", s.Type, stepTypes)
	v.length(path+".handler.callable", s.Handler.Callable, maxCallable)
	v.name(path+".handler.method", s.Handler.Method)
	if s.Handler.Resolver != "" {
		v.name(path+".handler.resolver", s.Handler.Resolver)
	}
	v.retry(path+".retry", s.Retry)
	v.timeout(path, s.TimeoutSeconds)
	for j, e := range s.PublishesEvents {
		v.publishedEvent(at(path+".publishes_events", j), e)
	}
	if s.BatchConfig != nil {
		v.batch(path+".batch_config", s.BatchConfig)
	}
	v.schema(path+".result_schema", s.ResultSchema)
	v.stepType(path, s)
}

func (v *validator) timeout(path string, seconds int) {
	if seconds < 0 {
		v.blame(path+".timeout_seconds", "is %d, want at least 1", seconds)
	}
}

func (v *validator) retry(path string, r Retry) {
	v.between(path+".max_attempts", r.MaxAttempts, 1, maxAttempts)
	oneOf(v, path+".backoff", r.Backoff, backoffs)
	v.between(path+".backoff_base_ms", r.BackoffBaseMS, minBackoffMS, maxBackoffMS)
	v.between(path+".max_backoff_ms", r.MaxBackoffMS, minMaxBackoff, maxBackoffMS)
	if j := r.Jitter; j != nil && (*j < 0 || *j > 1) {
		v.blame(path+".jitter", "is %v, want 0 to 1", *j)
	}
}

func (v *validator) publishedEvent(path string, e PublishedEvent) {
	if !eventPattern.MatchString(e.Name) {
		v.blame(path+".name", "is not the name of an event, want lower case words with dots between them, like order.paid")
	}
	if strings.TrimSpace(e.Description) == "" {
		v.blame(path+".description", "is missing, want text")
	}
	oneOf(v, path+".condition", e.Condition, conditions)
	if e.Schema == nil {
		v.blame(path+".schema", "is missing, want a JSON Schema")
	}
	v.schema(path+".schema", e.Schema)
	oneOf(v, path+".delivery_mode", e.DeliveryMode, deliveryModes)
	if e.Publisher != "" && !publisherPattern.MatchString(e.Publisher) {
		v.blame(path+".publisher", "is not an identifier, want words with :: or dots between them, like Orders::Publisher")
	}
}

func (v *validator) batch(path string, b *BatchConfig) {
	v.between(path+".batch_size", b.BatchSize, 1, maxBatchSize)
	v.between(path+".parallelism", b.Parallelism, 1, maxParallel)
	v.name(path+".cursor_field", b.CursorField)
	v.name(path+".worker_template", b.WorkerTemplate)
	oneOf(v, path+".failure_strategy", b.FailureStrategy, failureStrategies)
}

// stepType checks what a type asks of its step.
func (v *validator) stepType(path string, s *Step) {
	switch s.Type {
	case Decision, DeferredConvergence:
		if len(s.Dependencies) == 0 {
			v.blame(path+".dependencies", "is empty, want at least one step for a step of type %s", s.Type)
		}
	case BatchWorker:
		if s.BatchConfig == nil {
			v.blame(path+".batch_config", "is missing, want one for a step of type %s", s.Type)
		}
		if !slices.ContainsFunc(s.Dependencies, func(name string) bool { return v.typeOf(name) == Batchable }) {
			v.blame(path+".dependencies", "has no step of type %s, want the one whose result makes the batches", Batchable)
		}
	case Batchable:
		v.batchable(path, s)
	case Standard:
	}
}

// batchable checks that the worker is known when there is nothing to do and the
// result names none.
func (v *validator) batchable(path string, s *Step) {
	var init struct {
		Worker json.RawMessage `json:"worker_template_name"`
	}
	var name string
	_ = json.Unmarshal(s.Handler.Initialization, &init) // an object or nothing; its other keys are the handler's
	if init.Worker == nil {
		if workers := v.workers[s.Name]; workers != 1 {
			v.blame(path+".handler.initialization", "has no worker_template_name, want the name of the %s step, as %d depend on this one", BatchWorker, workers)
		}
		return
	}
	if json.Unmarshal(init.Worker, &name) != nil || v.typeOf(name) != BatchWorker {
		v.blame(path+".handler.initialization.worker_template_name", "is not the name of a step of type %s", BatchWorker)
	}
}

func (v *validator) typeOf(step string) StepType {
	if no := v.t.StepNo(step); no != 0 {
		return v.t.Step(no).Type
	}
	return ""
}

// reachable checks that every convergence has something to converge: below no
// decision and no batch worker, nothing would ever create it.
func (v *validator) reachable() {
	g := v.t.graph
	if g == nil {
		return
	}
	below := v.t.below(func(s *Step) bool { return s.Type == Decision || s.Type == BatchWorker })
	for i := range v.t.Steps {
		if s := &v.t.Steps[i]; s.Type == DeferredConvergence && len(s.Dependencies) > 0 && !below[i+1] {
			v.blame(at("steps", i)+".dependencies", "leads to no step of type %s or %s, want one, or the type %s", Decision, BatchWorker, Standard)
		}
	}
}

func (v *validator) environment(name string, env Environment) {
	path := jsondoc.Key("environments", name) + ".steps"
	if name == "" {
		v.blame(path, "has an environment without a name")
	}
	for i, o := range env.Steps {
		itemPath := at(path, i)
		if o.Name != AllSteps && v.t.StepNo(o.Name) == 0 {
			v.blame(itemPath+".name", "is not a step of this template, want one, or %s for every step", AllSteps)
		}
		v.timeout(itemPath, o.TimeoutSeconds)
		if o.Retry != nil {
			v.retry(itemPath+".retry", *o.Retry)
		}
	}
}

func (v *validator) lifecycle() {
	l := v.t.Lifecycle
	v.atMost("lifecycle.max_waiting_for_dependencies_minutes", l.MaxWaitingForDependenciesMinutes, maxWaiting)
	v.atMost("lifecycle.max_waiting_for_retry_minutes", l.MaxWaitingForRetryMinutes, maxWaiting)
	v.atMost("lifecycle.max_steps_in_process_minutes", l.MaxStepsInProcessMinutes, maxWaiting)
	v.atMost("lifecycle.max_duration_minutes", l.MaxDurationMinutes, maxDuration)
	if l.StalenessAction != "" {
		v.length("lifecycle.staleness_action", l.StalenessAction, maxAction)
	}
}
