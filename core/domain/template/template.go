// Package template is what a workflow is: the steps that a task of its kind
// takes, and every rule about writing them down. It reads one JSON form, whose
// keys are those of the YAML files; where the text comes from is not its matter.
package template

import (
	"crypto/sha256"
	"encoding/json"
	"errors"

	"github.com/tasker-go/tasker/core/domain/dag"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// Template is one version of a workflow. It is made by Read, Parse or New and
// never changes after that, so it may be shared by goroutines; its fields are
// exported to be read.
//
// Its JSON form has the fields in the order below. Values that decide how a
// task runs are always written out, so that a stored template means the same
// when defaults change; everything else is left out when it is not set.
type Template struct {
	Name               string                 `json:"name"`
	Namespace          string                 `json:"namespace_name"`
	Version            string                 `json:"version"`
	Description        string                 `json:"description,omitempty"`
	IdentityStrategy   IdentityStrategy       `json:"identity_strategy"`
	Metadata           json.RawMessage        `json:"metadata,omitempty"` // an object, or nil
	SystemDependencies SystemDependencies     `json:"system_dependencies"`
	DomainEvents       []DomainEvent          `json:"domain_events,omitempty"`
	InputSchema        json.RawMessage        `json:"input_schema,omitempty"` // of the task's context, or nil
	Steps              []Step                 `json:"steps"`
	Environments       map[string]Environment `json:"environments,omitempty"`
	Lifecycle          Lifecycle              `json:"lifecycle,omitzero"`
	OnFailure          TaskFailure            `json:"on_failure,omitzero"`

	graph     *dag.Graph       // nil when shape is not
	shape     dag.Problems     // what keeps the steps from being a graph
	numbers   map[string]int32 // by name
	canonical []byte
	hash      [32]byte
}

// Step is one step of a template.
type Step struct {
	Name             string           `json:"name"`
	Description      string           `json:"description,omitempty"`
	Type             StepType         `json:"type"`
	Handler          Handler          `json:"handler"`
	Dependencies     []string         `json:"dependencies,omitempty"` // names of parents
	SystemDependency string           `json:"system_dependency,omitempty"`
	Retry            Retry            `json:"retry"`
	TimeoutSeconds   int              `json:"timeout_seconds,omitempty"` // 0 is none
	PublishesEvents  []PublishedEvent `json:"publishes_events,omitempty"`
	BatchConfig      *BatchConfig     `json:"batch_config,omitempty"`
	ResultSchema     json.RawMessage  `json:"result_schema,omitempty"`
	Composition      json.RawMessage  `json:"composition,omitempty"` // any JSON, kept for clients
}

// Handler says what code runs a step.
type Handler struct {
	Callable       string          `json:"callable"`
	Method         string          `json:"method"`
	Resolver       string          `json:"resolver,omitempty"`
	Initialization json.RawMessage `json:"initialization,omitempty"` // an object, or nil
}

// Retry says how often a step is tried and how long it rests in between.
type Retry struct {
	Retryable     bool     `json:"retryable"`
	MaxAttempts   int      `json:"max_attempts"` // the first included
	Backoff       Backoff  `json:"backoff"`
	BackoffBaseMS int      `json:"backoff_base_ms"`
	MaxBackoffMS  int      `json:"max_backoff_ms"`
	Jitter        *float64 `json:"jitter,omitempty"` // share of a wait, each way, over which it is spread; nil for the server's
}

// DefaultRetry returns what holds for steps, and for fields of a retry, that
// say nothing else.
func DefaultRetry() Retry {
	return Retry{Retryable: true, MaxAttempts: 3, Backoff: BackoffExponential, BackoffBaseMS: 1000, MaxBackoffMS: 30_000}
}

// BatchConfig says how a batch worker shares its work.
type BatchConfig struct {
	BatchSize       int             `json:"batch_size"`
	Parallelism     int             `json:"parallelism"`
	CursorField     string          `json:"cursor_field"`
	WorkerTemplate  string          `json:"worker_template"`
	FailureStrategy FailureStrategy `json:"failure_strategy"`
}

// PublishedEvent is a domain event that a step publishes. Of several with one
// name, the last counts.
type PublishedEvent struct {
	Name         string          `json:"name"`
	Description  string          `json:"description"`
	Condition    Condition       `json:"condition"`
	Schema       json.RawMessage `json:"schema,omitempty"`
	DeliveryMode DeliveryMode    `json:"delivery_mode"`
	Publisher    string          `json:"publisher,omitempty"`
}

// DomainEvent is an event that the template declares, for its readers.
type DomainEvent struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`
}

// SystemDependencies names the systems that a workflow leans on, for its readers.
type SystemDependencies struct {
	Primary   string   `json:"primary"`
	Secondary []string `json:"secondary,omitempty"`
}

// Lifecycle bounds how long tasks may stay in a state. Zero values leave it to
// the server's configuration.
type Lifecycle struct {
	MaxWaitingForDependenciesMinutes int    `json:"max_waiting_for_dependencies_minutes,omitempty"`
	MaxWaitingForRetryMinutes        int    `json:"max_waiting_for_retry_minutes,omitempty"`
	MaxStepsInProcessMinutes         int    `json:"max_steps_in_process_minutes,omitempty"`
	MaxDurationMinutes               int    `json:"max_duration_minutes,omitempty"`
	StalenessAction                  string `json:"staleness_action,omitempty"` // "dlq" when not set
	AutoFailOnTimeout                *bool  `json:"auto_fail_on_timeout,omitempty"`
	AutoDLQOnTimeout                 *bool  `json:"auto_dlq_on_timeout,omitempty"`
}

// Environment changes steps where a server runs in that environment.
type Environment struct {
	Steps []Override `json:"steps,omitempty"`
}

// AllSteps is the name of an override for every step.
const AllSteps = "ALL"

// Override is what an environment changes in one step, or in all.
type Override struct {
	Name           string          `json:"name"`
	Handler        HandlerOverride `json:"handler,omitzero"`
	TimeoutSeconds int             `json:"timeout_seconds,omitempty"` // 0 keeps the step's
	Retry          *Retry          `json:"retry,omitempty"`           // replaces all of the step's
}

// HandlerOverride is what an override changes in a handler.
type HandlerOverride struct {
	Initialization json.RawMessage `json:"initialization,omitempty"` // merged key by key over the step's
}

// IsZero reports whether h changes nothing.
func (h HandlerOverride) IsZero() bool { return len(h.Initialization) == 0 }

// Canonical returns the template's JSON form. Templates that mean the same have
// the same form. The bytes are the template's: do not change them.
func (t *Template) Canonical() []byte { return t.canonical }

// Hash returns the SHA-256 of Canonical: what a task is pinned to.
func (t *Template) Hash() [32]byte { return t.hash }

// Graph returns the graph of the steps, numbered from 1 in the order of Steps.
func (t *Template) Graph() *dag.Graph { return t.graph }

// StepNo returns the number of the step called name, or 0 when there is none.
func (t *Template) StepNo(name string) int32 { return t.numbers[name] }

// Step returns the step with the number, which has to be one of 1..len(Steps).
func (t *Template) Step(no int32) *Step { return &t.Steps[no-1] }

// Schema is a JSON Schema that a template holds, and where.
type Schema struct {
	Field string // such as "steps[2].result_schema"
	JSON  json.RawMessage
}

// Schemas returns all JSON Schemas of the template, in its order.
func (t *Template) Schemas() []Schema {
	var all []Schema
	add := func(field string, schema json.RawMessage) {
		if schema != nil {
			all = append(all, Schema{Field: field, JSON: schema})
		}
	}
	for i, e := range t.DomainEvents {
		add(at("domain_events", i)+".schema", e.Schema)
	}
	add("input_schema", t.InputSchema)
	for i := range t.Steps {
		s, path := &t.Steps[i], at("steps", i)
		for j, e := range s.PublishesEvents {
			add(at(path+".publishes_events", j)+".schema", e.Schema)
		}
		add(path+".result_schema", s.ResultSchema)
	}
	return all
}

// CheckSchemas returns what compile says of the schemas that it refuses. When
// that is a fault, its details are places within the schema.
func (t *Template) CheckSchemas(compile func(schema []byte) error) []fault.Detail {
	var problems []fault.Detail
	for _, s := range t.Schemas() {
		err := compile(s.JSON)
		if err == nil {
			continue
		}
		refusal, ok := errors.AsType[*fault.Error](err)
		if !ok {
			refusal = &fault.Error{Message: err.Error()}
		}
		for _, d := range refusal.Details {
			problems = append(problems, fault.Detail{Field: inside(s.Field, d.Field), Message: d.Message})
		}
		if len(refusal.Details) == 0 {
			problems = append(problems, fault.Detail{Field: s.Field, Message: refusal.Message})
		}
	}
	return problems
}

// inside returns the path of what has the path inner in the value at path.
func inside(path, inner string) string {
	if inner == "" || inner[0] == '[' {
		return path + inner
	}
	return path + "." + inner
}

// seal fixes what is derived from the exported fields.
func (t *Template) seal() error {
	t.numbers = make(map[string]int32, len(t.Steps))
	nodes := make([]dag.Node, len(t.Steps))
	for i := range t.Steps {
		s := &t.Steps[i]
		nodes[i] = dag.Node{Name: s.Name, After: s.Dependencies}
		if _, taken := t.numbers[s.Name]; !taken {
			t.numbers[s.Name] = int32(i + 1)
		}
	}
	graph, err := dag.Build(nodes)
	t.graph, t.shape = graph, nil
	if err != nil {
		t.shape = err.(dag.Problems) //nolint:errorlint,forcetypeassert // Build has no other errors
	}
	text, err := compact(t)
	if err != nil {
		return err
	}
	t.canonical, t.hash = text, sha256.Sum256(text)
	return nil
}
