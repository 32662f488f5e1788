package template_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/template"
)

// full has every field there is, with no value that is a default.
const full = `{
	"name": "reindex", "namespace_name": "search", "version": "1.2.3-rc.1", "description": "all of it",
	"identity_strategy": "caller_provided",
	"metadata": {"author": "Ada", "tags": ["x"], "documentation_url": "u", "created_at": "2026-01-01", "updated_at": "y", "team": {"b": 1, "a": 2}},
	"system_dependencies": {"primary": "shop", "secondary": ["mail", "erp"]},
	"domain_events": [{"name": "index.built", "description": "d", "schema": {"type": "object"}}],
	"input_schema": {"type": "object", "required": ["since"]},
	"steps": [
		{"name": "plan", "step_type": "batchable", "description": "d", "system_dependency": "erp", "timeout_seconds": 30,
		 "handler": {"callable": "search.plan", "method": "run", "resolver": "explicit", "initialization": {"worker_template_name": "chunk", "chunk": 500}},
		 "result_schema": {"type": "object"}, "composition": ["any", {"b": 1, "a": 2}]},
		{"name": "chunk", "type": "batch_worker", "depends_on": ["plan"], "handler": {"callable": "search.chunk"},
		 "batch_config": {"batch_size": 5, "parallelism": 2, "cursor_field": "doc", "worker_template": "chunk", "failure_strategy": "isolate"},
		 "retry": {"retryable": false, "max_attempts": 7, "backoff": "fibonacci", "backoff_base_ms": 200, "max_backoff_ms": 9000}},
		{"name": "publish", "type": "deferred_convergence", "dependencies": ["chunk"], "handler": {"callable": "search.publish"},
		 "publishes_events": [{"name": "index.published", "description": "d", "condition": "always", "schema": true, "delivery_mode": "fast", "publisher": "Search::Publisher"}]}
	],
	"environments": {"production": {"steps": [
		{"name": "ALL", "timeout_seconds": 99, "handler": {"initialization": {"chunk": 1, "deep": {"x": 1}}}},
		{"name": "chunk", "retry": {"max_attempts": 9}}]}},
	"lifecycle": {"max_waiting_for_dependencies_minutes": 1, "max_waiting_for_retry_minutes": 2, "max_steps_in_process_minutes": 3,
		"max_duration_minutes": 4, "staleness_action": "error", "auto_fail_on_timeout": true, "auto_dlq_on_timeout": false}
}`

const small = `{"name":"n","namespace_name":"ns","version":"1.0.0","steps":[{"name":"a","handler":{"callable":"h"}}]}`

func read(t require.TestingT, doc string) *template.Template {
	tmpl, warnings, err := template.Read([]byte(doc))
	require.NoError(t, err)
	require.Empty(t, warnings)
	return tmpl
}

func TestReadKeepsEveryField(t *testing.T) {
	t.Parallel()
	tmpl := read(t, full)
	require.Equal(t, "search", tmpl.Namespace)
	require.Equal(t, template.IdentityCallerProvided, tmpl.IdentityStrategy)
	require.Equal(t, []string{"mail", "erp"}, tmpl.SystemDependencies.Secondary)
	require.Equal(t, template.Batchable, tmpl.Step(1).Type, "under its alias")
	require.Equal(t, []string{"plan"}, tmpl.Step(2).Dependencies, "under its alias")
	require.JSONEq(t, `{"chunk":500,"worker_template_name":"chunk"}`, string(tmpl.Step(1).Handler.Initialization))
	require.Equal(t, template.Retry{MaxAttempts: 7, Backoff: template.BackoffFibonacci, BackoffBaseMS: 200, MaxBackoffMS: 9000}, tmpl.Step(2).Retry)
	require.Equal(t, template.Isolate, tmpl.Step(2).BatchConfig.FailureStrategy)
	require.Equal(t, template.Always, tmpl.Step(3).PublishesEvents[0].Condition)
	require.True(t, *tmpl.Lifecycle.AutoFailOnTimeout)
	require.False(t, *tmpl.Lifecycle.AutoDLQOnTimeout)
	require.Equal(t, int32(3), tmpl.StepNo("publish"))
	require.Zero(t, tmpl.StepNo("nobody"))
	require.Equal(t, []int32{2}, tmpl.Graph().Parents(3))
	fields := []string{}
	for _, s := range tmpl.Schemas() {
		fields = append(fields, s.Field)
	}
	require.Equal(t, []string{"domain_events[0].schema", "input_schema", "steps[0].result_schema", "steps[2].publishes_events[0].schema"}, fields)

	// Every leaf of the document is a leaf of the canonical form, aliases apart.
	canonical := string(tmpl.Canonical())
	for leaf := range strings.SplitSeq(strings.NewReplacer("step_type", "type", "depends_on", "dependencies").Replace(full), `"`) {
		if word := strings.TrimSpace(leaf); word != "" && !strings.ContainsAny(word, "{}[]:,") {
			require.Contains(t, canonical, `"`+word+`"`)
		}
	}
}

func TestReadGivesTheDefaults(t *testing.T) {
	t.Parallel()
	tmpl := read(t, small)
	require.Equal(t, template.IdentityStrict, tmpl.IdentityStrategy)
	require.Equal(t, "default", tmpl.SystemDependencies.Primary)
	s := tmpl.Step(1)
	require.Equal(t, template.Standard, s.Type)
	require.Equal(t, "call", s.Handler.Method)
	require.Equal(t, template.Retry{Retryable: true, MaxAttempts: 3, Backoff: "exponential", BackoffBaseMS: 1000, MaxBackoffMS: 30_000}, s.Retry)
	require.Zero(t, s.TimeoutSeconds)
	require.Nil(t, s.Handler.Initialization)

	tmpl = read(t, strings.Replace(small, `"h"}`, `"h"},"retry":{"max_attempts":5,"backoff":"fixed"}`, 1))
	require.Equal(t, template.Retry{Retryable: true, MaxAttempts: 5, Backoff: "fixed", BackoffBaseMS: 1000, MaxBackoffMS: 30_000}, tmpl.Step(1).Retry)
}

func TestCanonicalIsOneFormForOneMeaning(t *testing.T) {
	t.Parallel()
	const plain = `{"name":"n","namespace_name":"ns","version":"1.0.0","identity_strategy":"strict","system_dependencies":{"primary":"default"},` +
		`"steps":[{"name":"a","type":"standard","handler":{"callable":"h","method":"call"},` +
		`"retry":{"retryable":true,"max_attempts":3,"backoff":"exponential","backoff_base_ms":1000,"max_backoff_ms":30000}}]}`
	require.Equal(t, plain, string(read(t, small).Canonical()), "what is stored must not change from release to release")
	for name, other := range map[string]string{
		"other order":     `{"version":"1.0.0","steps":[{"handler":{"callable":"h"},"name":"a"}],"namespace_name":"ns","name":"n"}`,
		"defaults said":   strings.Replace(small, `"h"}`, `"h","method":"call"},"type":"standard","dependencies":[],"retry":{"max_attempts":3.0}`, 1),
		"nothings":        strings.Replace(small, `"h"}`, `"h","initialization":{}},"timeout_seconds":null,"result_schema":null`, 1),
		"empty lists":     strings.Replace(small, `"steps"`, `"environments":{},"lifecycle":{},"metadata":{},"domain_events":[],"steps"`, 1),
		"escaped letters": strings.Replace(small, `"h"`, `"\u0068"`, 1),
	} {
		require.Equal(t, read(t, small).Hash(), read(t, other).Hash(), name)
	}
	require.NotEqual(t, read(t, small).Hash(), read(t, strings.Replace(small, "1.0.0", "1.0.1", 1)).Hash())
	a := read(t, strings.Replace(small, `"h"`, `"h","initialization":{"x":{"b":"<","a":2}}`, 1))
	b := read(t, strings.Replace(small, `"h"`, `"h","initialization":{"x":{"a":2, "b":"\u003c"}}`, 1))
	require.Equal(t, a.Hash(), b.Hash())
}

// TestHashesStayAsTheyAre has the hashes of templates that earlier releases
// have stored: tasks are pinned to them.
func TestHashesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		small: "3ecede3c7a3c6069e2f4c828e39ad564339730e6914a63d175badeab18ffff52",
		two:   "1183bbcb9c5e7f4172115b2ba0d5c3632f838c316b427b761e764a1a1e1f1630",
		full:  "1e9536333faebe548add721ed793bb4ebc3e7f8a15d6643281dd5eea9c1fcac3",
	} {
		require.Equal(t, want, fmt.Sprintf("%x", read(t, doc).Hash()), doc)
	}
}

func TestJitterAndOnFailureAreKept(t *testing.T) {
	t.Parallel()
	plain := read(t, small)
	require.Nil(t, plain.Step(1).Retry.Jitter, "the server's, unless the template says so")
	require.Equal(t, template.KeepTaskGoing, plain.OnFailure)
	said := read(t, strings.Replace(small, `"steps"`, `"on_failure":"continue","steps"`, 1))
	require.Equal(t, plain.Hash(), said.Hash(), "the default is not spelled out")

	doc := strings.Replace(small, `"h"}`, `"h"},"retry":{"jitter":0.250}`, 1)
	tmpl := read(t, strings.Replace(doc, `"steps"`, `"on_failure":"fail_fast","steps"`, 1))
	require.InDelta(t, 0.25, *tmpl.Step(1).Retry.Jitter, 0)
	require.Equal(t, template.FailTaskFast, tmpl.OnFailure)
	require.Contains(t, string(tmpl.Canonical()), `"max_backoff_ms":30000,"jitter":0.25}`)
	require.Contains(t, string(tmpl.Canonical()), `"on_failure":"fail_fast"`)
	again, err := template.Parse(tmpl.Canonical())
	require.NoError(t, err)
	require.Equal(t, tmpl, again)

	zero := read(t, strings.Replace(doc, `0.250`, `0`, 1))
	require.InDelta(t, 0, *zero.Step(1).Retry.Jitter, 0, "none at all is not the same as the server's")
	require.NotEqual(t, plain.Hash(), zero.Hash())
	require.Equal(t, zero.Hash(), read(t, strings.Replace(doc, `0.250`, `-0.0`, 1)).Hash())
}

func TestReadWithTellsOfSchemasToo(t *testing.T) {
	t.Parallel()
	doc := strings.NewReplacer(`"steps"`, `"on_failure":"x","input_schema":{"type":"odd"},"steps"`,
		`"h"}`, `"h"},"result_schema":3`).Replace(small)
	_, _, err := template.ReadWith([]byte(doc), func(schema []byte) error {
		return fmt.Errorf("refused: %s", schema)
	})
	require.Equal(t, []fault.Detail{
		{Field: "steps[0].result_schema", Message: "is a number, want a JSON Schema"},
		{Field: "on_failure", Message: "is not a known value, want one of continue, fail_fast"},
		{Field: "input_schema", Message: `refused: {"type":"odd"}`},
	}, fault.Of(err).Details)
}

func TestProblemsWithinSchemasHaveTheirPlace(t *testing.T) {
	t.Parallel()
	doc := strings.Replace(small, `"steps"`, `"input_schema":{"type":"object"},"steps"`, 1)
	_, _, err := template.ReadWith([]byte(doc), func([]byte) error {
		e := fault.New(fault.CodeInvalidTemplate, "x")
		e.Details = []fault.Detail{{Field: "", Message: "a"}, {Field: "properties.x", Message: "b"}, {Field: `["$id"]`, Message: "c"}}
		return e
	})
	require.Equal(t, []fault.Detail{
		{Field: "input_schema", Message: "a"}, {Field: "input_schema.properties.x", Message: "b"}, {Field: `input_schema["$id"]`, Message: "c"},
	}, fault.Of(err).Details)
	_, _, err = template.ReadWith([]byte(doc), func([]byte) error { return fault.New(fault.CodeInvalidTemplate, "no good") })
	require.Equal(t, []fault.Detail{{Field: "input_schema", Message: "no good"}}, fault.Of(err).Details)
}

func TestReadWarnsOfUnknownActions(t *testing.T) {
	t.Parallel()
	tmpl, warnings, err := template.Read([]byte(strings.Replace(small, `"steps"`, `"lifecycle":{"staleness_action":"hope"},"steps"`, 1)))
	require.NoError(t, err)
	require.Equal(t, "hope", tmpl.Lifecycle.StalenessAction)
	require.Equal(t, []fault.Detail{{Field: "lifecycle.staleness_action", Message: "is not a known action, want dlq or error; it counts as dlq"}}, warnings)
}

func TestReadWarnsOfUnknownKeys(t *testing.T) {
	t.Parallel()
	doc := strings.NewReplacer(`"h"}`, `"h","klass":1},"retry":{"max_attempt":9},"publishes_events":[
		{"name":"a.b","description":"d","schema":{}},{"name":"a.b","description":"e","schema":{}}]`, `"name":"n"`, `"name":"n","owner":"me","metadata":{"free":1}`).Replace(small)
	_, warnings, err := template.Read([]byte(doc))
	require.NoError(t, err)
	require.Equal(t, []fault.Detail{
		{Field: "steps[0].retry.max_attempt", Message: "is not a known key and has no effect; did you mean max_attempts?"},
		{Field: "steps[0].handler.klass", Message: "is not a known key and has no effect"},
		{Field: "steps[0].publishes_events[1].name", Message: `"a.b" is published twice by this step; the last one counts`},
		{Field: "owner", Message: "is not a known key and has no effect"},
	}, warnings)
}

func TestReadBlamesWrongTypesOnce(t *testing.T) {
	t.Parallel()
	_, _, err := template.Read([]byte(`{"name":1,"namespace_name":["x"],"version":1.0,"steps":[
		{"name":"a","handler":"h","dependencies":"b","depends_on":["c"],"retry":{"retryable":"yes","max_attempts":"3","backoff_base_ms":1.5}},
		{"name":"b","handler":{"callable":"h","initialization":[]},"dependencies":["a",null,3],"timeout_seconds":0},
		7]}`))
	require.True(t, fault.Is(err, fault.CodeInvalidTemplate))
	got := map[string]string{}
	for _, d := range fault.Of(err).Details {
		require.NotContains(t, got, d.Field)
		got[d.Field] = d.Message
	}
	require.Equal(t, map[string]string{
		"name":                            "is a number, want text: put it in quotes",
		"namespace_name":                  "is a list, want text",
		"version":                         "is a number, want text: put it in quotes",
		"steps[0].handler":                "is text, want a map",
		"steps[0].dependencies":           "is text, want a list",
		"steps[0].depends_on":             "is another name for dependencies, want one of the two",
		"steps[0].retry.retryable":        "is text, want true or false",
		"steps[0].retry.max_attempts":     "is text, want a number",
		"steps[0].retry.backoff_base_ms":  "is not a whole number of at most 2147483647",
		"steps[1].handler.initialization": "is a list, want a map",
		"steps[1].dependencies[1]":        "is empty, want text",
		"steps[1].dependencies[2]":        "is a number, want text: put it in quotes",
		"steps[1].timeout_seconds":        "is 0, want at least 1, or leave it out",
		"steps[2]":                        "is a number, want a map",
	}, got)
	require.Contains(t, fault.Of(err).Message, "and 13 more")
}

func TestReadRefusesWhatIsNoDocument(t *testing.T) {
	t.Parallel()
	for doc, code := range map[string]fault.Code{
		``:                         fault.CodeMalformed,
		`{`:                        fault.CodeMalformed,
		`[]`:                       fault.CodeInvalidTemplate,
		`null`:                     fault.CodeInvalidTemplate,
		`{"name":"\u0000"}`:        fault.CodeInvalidField,
		strings.Repeat("[", 10000): fault.CodeInvalidField,
	} {
		_, _, err := template.Read([]byte(doc))
		require.True(t, fault.Is(err, code), "%s: %v", doc, err)
	}
}

func TestParseTakesWhatLimitsHaveForbiddenSince(t *testing.T) {
	t.Parallel()
	doc := strings.Replace(small, `"h"}`, `"h"},"retry":{"max_attempts":1000}`, 1)
	_, _, err := template.Read([]byte(doc))
	require.ErrorContains(t, err, "steps[0].retry.max_attempts")
	tmpl, err := template.Parse([]byte(doc))
	require.NoError(t, err)
	require.Equal(t, 1000, tmpl.Step(1).Retry.MaxAttempts)
	require.Len(t, tmpl.Validate(), 1)

	_, err = template.Parse([]byte(strings.Replace(small, `"h"}`, `"h"},"dependencies":["b"]`, 1)))
	require.ErrorContains(t, err, "steps[0].dependencies[0]", "without a graph there is no template")
}

func TestNewFillsInDefaultsAndChecks(t *testing.T) {
	t.Parallel()
	given := template.Template{Name: "n", Namespace: "ns", Version: "1.0.0", Steps: []template.Step{{Name: "a", Handler: template.Handler{Callable: "h"}}}}
	tmpl, err := template.New(given)
	require.NoError(t, err)
	require.Equal(t, read(t, small), tmpl)
	require.Zero(t, given.Steps[0].Retry, "what was given is not changed")
	_, err = template.New(template.Template{Name: "n"})
	require.ErrorContains(t, err, "namespace_name")
}

// drawn makes templates of all sorts that break no rule.
func drawn() *rapid.Generator[template.Template] {
	return rapid.Custom(func(t *rapid.T) template.Template {
		text := rapid.StringMatching(`[a-zé"<\\][a-z <>\x{2028}é]{0,8}[a-z]`)
		doc := rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage(`{"b":[1.50,{"y":"<","x":null}],"a":"é"}`), json.RawMessage(`true`)})
		object := rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage(`{"k":1,"a":{"b":[]}}`)})
		retry := rapid.Custom(func(t *rapid.T) template.Retry {
			return template.Retry{
				Retryable: rapid.Bool().Draw(t, "retryable"), MaxAttempts: rapid.IntRange(1, 100).Draw(t, "attempts"),
				Backoff:       rapid.SampledFrom([]template.Backoff{"none", "fixed", "linear", "exponential", "fibonacci"}).Draw(t, "backoff"),
				BackoffBaseMS: rapid.IntRange(100, 3_600_000).Draw(t, "base"), MaxBackoffMS: rapid.IntRange(1000, 3_600_000).Draw(t, "max"),
			}
		})
		d := template.Template{
			Name: text.Draw(t, "name"), Namespace: "n_1", Version: "0.1.0", Description: text.Draw(t, "description"),
			Metadata: object.Draw(t, "metadata"), InputSchema: doc.Draw(t, "schema"),
			Lifecycle: template.Lifecycle{MaxDurationMinutes: rapid.IntRange(0, 43_200).Draw(t, "duration")},
		}
		for i := range rapid.IntRange(1, 12).Draw(t, "steps") {
			s := template.Step{
				Name: fmt.Sprintf("%s %d", text.Draw(t, "step"), i), Retry: retry.Draw(t, "retry"),
				Type:           rapid.SampledFrom([]template.StepType{template.Standard, ""}).Draw(t, "type"),
				TimeoutSeconds: rapid.IntRange(0, 9).Draw(t, "timeout"), ResultSchema: doc.Draw(t, "result"), Composition: doc.Draw(t, "composition"),
				Handler: template.Handler{Callable: text.Draw(t, "callable"), Initialization: object.Draw(t, "init")},
			}
			if i > 0 {
				for _, p := range rapid.SliceOfNDistinct(rapid.IntRange(0, i-1), 0, 3, rapid.ID[int]).Draw(t, "parents") {
					s.Dependencies = append(s.Dependencies, d.Steps[p].Name)
				}
				if len(s.Dependencies) > 0 && rapid.Bool().Draw(t, "decides") {
					s.Type = template.Decision
				}
			}
			d.Steps = append(d.Steps, s)
		}
		if rapid.Bool().Draw(t, "overrides") {
			r := retry.Draw(t, "retry")
			d.Environments = map[string]template.Environment{text.Draw(t, "env"): {Steps: []template.Override{
				{Name: template.AllSteps, TimeoutSeconds: 5, Handler: template.HandlerOverride{Initialization: object.Draw(t, "init")}},
				{Name: d.Steps[0].Name, Retry: &r},
			}}}
		}
		return d
	})
}

func TestCanonicalAndParseAreInverse(t *testing.T) {
	t.Parallel()
	check := func(t require.TestingT, tmpl *template.Template) {
		again, err := template.Parse(tmpl.Canonical())
		require.NoError(t, err)
		require.Equal(t, tmpl, again)
		require.Equal(t, tmpl, read(t, string(tmpl.Canonical())))
		require.Empty(t, tmpl.Validate())
	}
	check(t, read(t, full))
	rapid.Check(t, func(t *rapid.T) {
		tmpl, err := template.New(drawn().Draw(t, "template"))
		require.NoError(t, err)
		check(t, tmpl)
		for env := range tmpl.Environments {
			resolved := tmpl.Resolve(env)
			require.NotEqual(t, tmpl.Hash(), resolved.Hash())
			check(t, resolved)
		}
	})
}

// FuzzRead checks that no document is more than refused, and that what is read
// is what is kept.
func FuzzRead(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(small))
	f.Fuzz(func(t *testing.T, doc []byte) {
		tmpl, _, err := template.Read(doc)
		if err != nil {
			return
		}
		again, err := template.Parse(tmpl.Canonical())
		require.NoError(t, err)
		require.Equal(t, tmpl.Hash(), again.Hash())
		for env := range tmpl.Environments {
			require.Empty(t, tmpl.Resolve(env).Validate())
		}
	})
}

func BenchmarkRead10000Steps(b *testing.B) {
	d := template.Template{Name: "n", Namespace: "ns", Version: "1.0.0"}
	for i := range 10_000 {
		s := template.Step{Name: fmt.Sprintf("step_%d", i), Handler: template.Handler{Callable: "h"}}
		if i > 0 {
			s.Dependencies = []string{fmt.Sprintf("step_%d", i/2)}
		}
		d.Steps = append(d.Steps, s)
	}
	tmpl, err := template.New(d)
	require.NoError(b, err)
	for b.Loop() {
		if _, err := template.Parse(tmpl.Canonical()); err != nil {
			b.Fatal(err)
		}
	}
}
