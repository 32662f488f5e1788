package templates_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/adapters/templates"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// schemas refuses those of an unknown type, and says where.
type schemas struct{ ports.InputSchemas }

func (schemas) Compile(schema []byte) error {
	var s struct {
		Type       string
		Properties struct{ Sku struct{ Type string } }
	}
	_ = json.Unmarshal(schema, &s) // what has other types has nothing to refuse
	e := fault.New(fault.CodeInvalidTemplate, "no schema")
	if s.Type == "odd" {
		e.Details = append(e.Details, fault.Detail{Field: "type", Message: "is odd"})
	}
	if s.Properties.Sku.Type == "odd" {
		e.Details = append(e.Details, fault.Detail{Field: "properties.sku.type", Message: "is odd"})
	}
	if e.Details == nil {
		return nil
	}
	return e
}

func texts(all []ports.TemplateFinding) []string {
	var out []string
	for _, f := range all {
		out = append(out, f.String())
	}
	return out
}

func TestReadTellsWhereMeaningIsWrong(t *testing.T) {
	t.Parallel()
	r := templates.Reader{Schemas: schemas{}}.Read([]byte(`name: order
namespace_name: shop
version: 1.0.0
on_failure: panic
input_schema:
  type: object
  properties:
    sku:
      type: odd
steps:
  - name: first
    handler: { callable: h }
    depends_on:
      - last
      - nobody
  - name: second
    handler: { callable: h }
    dependencies: [second, first, first]
    retry: { jitter: 1.5, backoff: fixed }
  - name: last
    handler: { callable: h }
    dependencies: [first]
    result_schema: { type: odd }
  - handler: { callable: h }
    name: first
lifecycle:
  max_duration_minutes: 43201
  staleness_action: hope
environments:
  production:
    steps:
      - name: third
`))
	require.Nil(t, r.Template)
	require.Equal(t, []string{
		`line 4, column 1: on_failure: is not a known value, want one of continue, fail_fast`,
		`line 9, column 7: input_schema.properties.sku.type: is odd`,
		`line 14, column 9: steps[0].depends_on[0]: these steps wait for each other: first -> last -> first; take one of these dependencies away`,
		`line 15, column 9: steps[0].depends_on[1]: "nobody" is not a step of this template`,
		`line 18, column 20: steps[1].dependencies[0]: step "second" depends on itself, want other steps only`,
		`line 18, column 35: steps[1].dependencies[2]: "first" is named twice, want each dependency once`,
		`line 19, column 14: steps[1].retry.jitter: is 1.5, want 0 to 1`,
		`line 23, column 22: steps[2].result_schema.type: is odd`,
		`line 25, column 5: steps[3].name: the name "first" is taken by step 1 of the list, want each name once`,
		`line 27, column 3: lifecycle.max_duration_minutes: is 43201, want 1 to 43200`,
		`line 32, column 9: environments.production.steps[0].name: is not a step of this template, want one, or ALL for every step`,
	}, texts(r.Problems))
	require.Equal(t, []string{"line 28, column 3: lifecycle.staleness_action: is not a known action, want dlq or error; it counts as dlq"}, texts(r.Warnings))

	f := fault.Of(r.Err())
	require.Equal(t, fault.CodeInvalidTemplate, f.Code)
	require.Equal(t, "on_failure", f.Field)
	require.Equal(t, r.Problems[0].String()+" (and 10 more)", f.Message)
	require.Equal(t, fault.Detail{Field: "steps[1].retry.jitter", Message: "line 19, column 14: is 1.5, want 0 to 1"}, f.Details[6])
}

func TestReadTakesJSON(t *testing.T) {
	t.Parallel()
	text := "\ufeff{\n\t\"name\": \"gr\u00fc\u00dfe \\ud83d\\ude00\\/\", \"namespace_name\": \"ns\",\r\n\t\"version\": \"1.0.0\", \"oops\": null,\n" +
		"\t\"steps\": [{\"name\": \"a\", \"timeout_seconds\": 1e1,\n\t\t\"handler\": {\"callable\": \"h\", \"initialization\": {\"x\": [1.50, true, null, \"yes\", \"2026-01-01\"], \"<<\": {\"a\": 1}}}}]\n}\n"
	r := templates.Reader{}.Read([]byte(text))
	require.NoError(t, r.Err())
	require.Equal(t, "gr\u00fc\u00dfe \U0001f600/", r.Template.Name)
	require.Equal(t, 10, r.Template.Step(1).TimeoutSeconds)
	require.JSONEq(t, `{"x": [1.50, true, null, "yes", "2026-01-01"], "<<": {"a": 1}}`, string(r.Template.Step(1).Handler.Initialization),
		"a merge is a matter of YAML alone")
	require.Equal(t, []string{"line 3, column 22: oops: is not a known key and has no effect"}, texts(r.Warnings))

	r = templates.Reader{}.Read([]byte("{\"name\": \"\u00e9\", \"name\": \"m\", \"namespace_name\": 7,\n \"version\": \"1\",\n \"steps\": [ {\"name\": \"a\"} , 3]}"))
	require.Equal(t, []string{
		"line 1, column 15: name: stands here a second time, want each key once (first on line 1)",
		"line 1, column 28: namespace_name: is a number, want text: put it in quotes",
		"line 2, column 2: version: is not a version, want three numbers like 1.0.0, or 1.0.0-rc.1",
		"line 3, column 13: steps[0].handler.callable: is missing, want text of 1 to 500 characters",
		"line 3, column 29: steps[1]: is a number, want a map",
	}, texts(r.Problems))
}

// TestJSONAndYAMLMeanTheSame writes a template in both ways.
func TestJSONAndYAMLMeanTheSame(t *testing.T) {
	t.Parallel()
	fromYAML := templates.Reader{}.Read([]byte(refund))
	require.NoError(t, fromYAML.Err())
	fromJSON := templates.Reader{}.Read(fromYAML.Template.Canonical())
	require.NoError(t, fromJSON.Err())
	require.Empty(t, fromJSON.Warnings)
	require.Equal(t, fromYAML.Template, fromJSON.Template)
}

func TestReadRefusesLargeTexts(t *testing.T) {
	t.Parallel()
	r := templates.Reader{}.Read(make([]byte, templates.MaxUpload+1))
	require.Len(t, r.Problems, 1)
	require.ErrorContains(t, r.Err(), "want at most 4194304")
}

func TestReadTakes10000Steps(t *testing.T) {
	t.Parallel()
	r := templates.Reader{}.Read([]byte(chain(10_000)))
	require.NoError(t, r.Err())
	require.Len(t, r.Template.Steps, 10_000)
	require.NoError(t, templates.Reader{}.Read(r.Template.Canonical()).Err(), "in its long form too")
}

// hostile texts are as large as a sixteenth of what may be sent, to keep tests short.
func hostile() map[string]string {
	const n = templates.MaxUpload / 16
	fill := func(head, body, tail string) string {
		return head + strings.Repeat(body, (n-len(head)-len(tail))/len(body)) + tail
	}
	texts := map[string]string{
		"NUL": fill("", "\x00", ""), "no UTF-8": fill("", "\xff", ""), "UTF-16": fill("\xff\xfe", "{\x00", ""),
		"open quote": fill(`"`, "\n", ""), "plain lines": fill("", "a\n", ""), "comments": fill("a: 1\n", "#\n", ""),
		"anchors": fill("", "&a ", ""), "tags": fill("", "!a ", ""), "documents": fill("", "---\n", ""),
		"aliases": fill("a: &a 1\nb: [", "*a,", "]"), "a large number": fill("name: ", "9", ""),
		"a large number in JSON": fill(`{"name":`, "9", "}"), "a large exponent": `{"version":1e999999999}`,
		"items": fill("[", "1,", "1]"), "items in JSON": fill(`{"metadata":[`, "1,", "1]}"), "objects in JSON": fill(`{"steps":[`, "{},", "{}]}"),
		"the same key": fill("", "a: 1\n", ""), "the same key in JSON": fill("{", `"a":1,`, `"a":1}`),
		"a long key": fill("? ", "k", ""), "unknown keys": "", "steps of no use": fill("steps:\n", "- {type: batchable}\n", ""),
		"deep JSON": strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000), "merges": fill("<<: [", "{},", "{}]"),
		"an unclosed schema": fill("input_schema: {a: ", "{a: ", ""),
	}
	for _, open := range []string{"[", "{", "- ", "? ", `{"a":[`, "[{"} {
		texts["deep "+open] = fill("", open, "")
	}
	var keys strings.Builder
	for i := 0; keys.Len() < n-100; i++ {
		fmt.Fprintf(&keys, "max_attempt%d: 1\n", i)
	}
	texts["unknown keys"] = keys.String()
	return texts
}

// TestReadEndsSoonOnWhateverIsSent has a limit that is far above what reading
// takes, and far below what anything worse than linear would.
func TestReadEndsSoonOnWhateverIsSent(t *testing.T) {
	t.Parallel()
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			r := templates.Reader{}.Read([]byte(text))
			require.Less(t, time.Since(begun), 30*time.Second)
			require.Nil(t, r.Template)
			require.NotEmpty(t, r.Problems)
			require.LessOrEqual(t, len(r.Problems), 2001)
			require.LessOrEqual(t, len(r.Warnings), 1000)
			size := 0
			for _, f := range append(r.Problems, r.Warnings...) {
				size += len(f.String())
			}
			require.Less(t, size, 4<<20, "what is said about a text has a limit too")
		})
	}
}

// TestReadNeverPanics puts valid and broken pieces together.
func TestReadNeverPanics(t *testing.T) {
	t.Parallel()
	pieces := []string{
		refund, "\n", " ", "  ", "- ", "? ", ": ", ", ", "{", "}", "[", "]", "&a ", "*a", "<<: *a\n", "!!binary ", "!!int ", "!x ", "|\n", ">-\n", "'", `"`, "#", "---\n", "...\n",
		"%YAML 1.1\n", "\x00", "\xff\xfe", "\ufeff", "\u2028", "\t", "\r", "name", "steps", "handler", "callable: h\n", "type: decision\n", "depends_on: [a]\n", "retry", "jitter: .nan\n",
		"environments", "1e400", "0x", "~", "null", "true", "-0", ".inf", fmt.Sprint(uint64(math.MaxUint64)), "2026-01-01", "=", "@", "`", `{"a":1}`, `"\ud800"`,
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(pieces), rapid.String()), 0, 40).Draw(t, "parts")
		text := []byte(strings.Join(parts, ""))
		if cut := rapid.IntRange(0, len(text)).Draw(t, "cut"); rapid.Bool().Draw(t, "is cut") {
			text = text[:cut]
		}
		r := templates.Reader{Schemas: schemas{}}.Read(text)
		require.Equal(t, r.Template == nil, r.Err() != nil)
		if r.Template != nil {
			require.Empty(t, r.Template.Validate())
			again, err := template.Parse(r.Template.Canonical())
			require.NoError(t, err)
			require.Equal(t, r.Template.Hash(), again.Hash())
		}
		for _, f := range append(r.Problems, r.Warnings...) {
			require.NotEmpty(t, f.Message)
			// The end of the text counts as a line of its own.
			require.LessOrEqual(t, f.Line, 2+strings.Count(string(text), "\n")+strings.Count(string(text), "\r")+
				strings.Count(string(text), "\u2028")+strings.Count(string(text), "\u2029")+strings.Count(string(text), "\u0085"))
		}
	})
}
