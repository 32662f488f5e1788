package templates_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/templates"
	"github.com/tasker-go/tasker/core/domain/template"
)

const refund = `
name: refund
namespace_name: support
version: 1.0.0
x-retry: &patient { max_attempts: 9, backoff: linear }
steps:
  - name: fetch_order
    handler: { callable: support.fetch_order }
  - name: choose_route
    type: decision
    dependencies: [fetch_order]
    handler:
      callable: support.choose_route
      initialization: { auto_limit: 50, rate: 1.50, day: 2026-01-01, mode: 0o17 }
    retry: *patient
  - name: refund_now
    depends_on: [choose_route]
    handler: { callable: support.refund_now }
    retry:
      <<: *patient
      max_attempts: 2
  - name: notify_customer
    step_type: deferred_convergence
    dependencies: [refund_now]
    handler: { callable: support.notify_customer }
`

func TestParse(t *testing.T) {
	t.Parallel()
	tmpl, warnings, err := new(templates.Reader).Parse("refund.yml", []byte(refund))
	require.NoError(t, err)
	require.Equal(t, []string{"refund.yml:5:1: x-retry: is not a known key and has no effect"}, lines(warnings))
	require.Equal(t, "support", tmpl.Namespace)
	require.Len(t, tmpl.Steps, 4)
	require.Equal(t, `{"auto_limit":50,"day":"2026-01-01","mode":15,"rate":1.50}`, string(tmpl.Step(2).Handler.Initialization))
	require.Equal(t, 9, tmpl.Step(2).Retry.MaxAttempts, "through an alias")
	require.Equal(t, 2, tmpl.Step(3).Retry.MaxAttempts, "its own key goes before a merged one")
	require.Equal(t, template.BackoffLinear, tmpl.Step(3).Retry.Backoff, "merged")
	require.Equal(t, template.DeferredConvergence, tmpl.Step(4).Type)
	require.Equal(t, []int32{3}, tmpl.Graph().Parents(4))
}

func lines(fs templates.Findings) []string {
	var all []string
	for _, f := range fs {
		all = append(all, f.String())
	}
	return all
}

func TestEveryProblemOfAFileIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	_, warnings, err := new(templates.Reader).Parse("bad.yml", []byte(`namespace_name: 1st
version: 1.0
name: "a\0b"
steps:
  - name: a
    depends_on: [b, z]
    retry:
      max_attempts: 0
      max_atempts: 3
      retryable: yes
  - name: b
    dependencies: [a]
    handler: { callable: h }
    handler: { callable: i }
    timeout_seconds: .inf
  - name: !secret c
    step_type: odd
    handler: { callable: h }
`))
	require.Equal(t, []string{"bad.yml:3:1: name: has a NUL character in a string, which cannot be stored; leave it out"}, strings.Split(err.Error(), "\n")[:1])
	require.Empty(t, warnings)

	_, warnings, err = new(templates.Reader).Parse("bad.yml", []byte(`namespace_name: 1st
version: 1.0
steps:
  - name: a
    depends_on: [b, z]
    retry:
      max_attempts: 0
      max_atempts: 3
      retryable: yes
  - name: b
    dependencies: [a]
    handler: { callable: h }
    handler: { callable: i }
    timeout_seconds: .inf
  - name: !secret c
    step_type: odd
    handler: { callable: h }
`))
	require.Equal(t, []string{
		"bad.yml:1:1: name: is missing, want text of 1 to 255 characters",
		"bad.yml:1:1: namespace_name: has other characters, want letters, digits and underscores, no digit first",
		"bad.yml:2:1: version: is a number, want text: put it in quotes",
		"bad.yml:4:5: steps[0].handler.callable: is missing, want text of 1 to 500 characters",
		"bad.yml:5:18: steps[0].depends_on[0]: these steps wait for each other: a -> b -> a; take one of these dependencies away",
		"bad.yml:5:21: steps[0].depends_on[1]: \"z\" is not a step of this template",
		"bad.yml:7:7: steps[0].retry.max_attempts: is 0, want 1 to 100",
		"bad.yml:9:7: steps[0].retry.retryable: is text, want true or false",
		"bad.yml:13:5: steps[1].handler: stands here a second time, want each key once (first on line 12)",
		"bad.yml:14:22: steps[1].timeout_seconds: is not a number that JSON has, want one in decimal digits",
		"bad.yml:15:11: steps[2].name: has the tag !secret, which templates do not know; leave it out",
		"bad.yml:16:5: steps[2].step_type: is not a known value, want one of standard, decision, deferred_convergence, batchable, batch_worker",
	}, strings.Split(err.Error(), "\n"))
	require.Equal(t, []string{"bad.yml:8:7: steps[0].retry.max_atempts: is not a known key and has no effect; did you mean max_attempts?"}, lines(warnings))
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":         {"", "f.yml: is empty, want a template"},
		"a comment":       {"# nothing\n", "f.yml: is empty, want a template"},
		"text":            {"hello", "f.yml:1:1: is text, want a map"},
		"null":            {"~", "f.yml:1:1: is nothing, want a map"},
		"two documents":   {"name: a\n---\nname: b\n", "f.yml:2:1: is a second document, want one template a file"},
		"broken YAML":     {"a: [1,\n b: }", "f.yml:2:5: is not YAML: did not find expected node content while parsing a flow node"},
		"a tab":           {"a:\n\tb: 1", "f.yml:2:1: is not YAML"},
		"unknown anchor":  {"a: *nobody", "f.yml:1:4: is not YAML: unknown anchor"},
		"no UTF-8":        {"a: \xff", "f.yml: is not YAML: invalid leading UTF-8"},
		"a map as key":    {"? {a: 1}\n: 2\nname: x", "f.yml:1:3: has a key that is not text"},
		"an empty key":    {"~: 2", "f.yml:1:1: has an empty key, want text"},
		"a strange merge": {"<<: 5", "f.yml:1:5: merges (<<) what is not a map"},
		"alias to itself": {"metadata: &m { again: *m }", "is nested too deeply, or within itself"},
		"merge of itself": {"metadata: &m\n  <<: *m", "is nested too deeply, or within itself"},
		"too deep":        {"metadata: {a: " + strings.Repeat("[", 80) + strings.Repeat("]", 80) + "}", "is nested too deeply, want at most 64 levels"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl, _, err := new(templates.Reader).Parse("f.yml", []byte(c.text))
			require.Nil(t, tmpl)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestAliasesCannotFillTheMemory(t *testing.T) {
	t.Parallel()
	var lists, merges strings.Builder
	lists.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	merges.WriteString("a0: &a0 {k: v}\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&lists, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
		fmt.Fprintf(&merges, "a%d: &a%d {<<: [%s]}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	text := "a0: &a0 " + strings.Repeat("x", 1<<20) + "\nmetadata: [" + strings.TrimSuffix(strings.Repeat("*a0, ", 1000), ", ") + "]\n"
	for name, bomb := range map[string]string{"lists": lists.String(), "merges": merges.String(), "text": text} {
		_, _, err := new(templates.Reader).Parse("bomb.yml", []byte(bomb))
		require.ErrorContains(t, err, "makes the template too large", name)
	}
	_, _, err := new(templates.Reader).Parse("big.yml", make([]byte, template.MaxBytes+1))
	require.ErrorContains(t, err, "big.yml: is larger than")
}

func minimal(name string) string {
	return fmt.Sprintf("name: %s\nnamespace_name: ns\nversion: 1.0.0\nsteps: [{name: a, handler: {callable: h}}]\n", name)
}

func TestLoadReadsAllFilesInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yml": minimal("b"), "sub/deep/a.YAML": minimal("a"), "c.yaml": minimal("c") + "oops: 1\n",
		"notes.txt": "not a template", ".hidden.yml": "bad", "..data/x.yml": "bad",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	require.NoError(t, os.Symlink(filepath.Join(dir, "b.yml"), filepath.Join(dir, "sub", "link.txt")))

	ts, warnings, err := templates.Load(dir)
	require.NoError(t, err)
	var names []string
	for _, tmpl := range ts {
		names = append(names, tmpl.Name)
	}
	require.Equal(t, []string{"b", "c", "a"}, names)
	require.Equal(t, []string{filepath.Join(dir, "c.yaml") + ":5:1: oops: is not a known key and has no effect"}, lines(warnings))
}

func TestLoadReadsOneFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "one.conf")
	require.NoError(t, os.WriteFile(file, []byte(minimal("one")+"oops: 1\n"), 0o600))
	ts, warnings, err := templates.Load(file)
	require.NoError(t, err)
	require.Len(t, ts, 1)
	require.Equal(t, "one", ts[0].Name)
	require.Equal(t, []string{file + ":5:1: oops: is not a known key and has no effect"}, lines(warnings))

	_, _, err = templates.Load(file + ".missing")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestLoadTellsOfAllFilesAtOnce(t *testing.T) {
	t.Parallel()
	ts, _, err := templates.LoadFS(fstest.MapFS{
		"a.yml":   {Data: []byte(minimal("same"))},
		"b/a.yml": {Data: []byte("# of the same name\n" + minimal("same"))},
		"c.yml":   {Data: []byte("version: x")},
		"d.yml":   {Data: []byte("{")},
		"e.yml":   {Data: []byte(minimal("fine"))},
	})
	require.Nil(t, ts)
	var findings templates.Findings
	require.ErrorAs(t, err, &findings)
	require.Contains(t, lines(findings), "b/a.yml:4:1: version: ns/same 1.0.0 is defined by a.yml too, want each version in one file")
	require.ErrorContains(t, err, "c.yml:1:1: version: is not a version")
	require.ErrorContains(t, err, "d.yml:")
	require.NotContains(t, err.Error(), "e.yml")
}

func TestLoadSaysThatADirectoryIsMissing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "nowhere")
	_, _, err := templates.Load(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, dir)
}

// FuzzParse checks that no text does more than be refused.
func FuzzParse(f *testing.F) {
	f.Add([]byte(refund))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("<<: {a: 1}\n? [x]\n: 1\nb: !!int 0x1F"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tmpl, _, err := new(templates.Reader).Parse("f.yml", text)
		require.Equal(t, tmpl == nil, err != nil)
		if tmpl != nil {
			require.Empty(t, tmpl.Validate())
		}
	})
}

// chain is a template of so many steps.
func chain(steps int) string {
	var text strings.Builder
	text.WriteString("name: n\nnamespace_name: ns\nversion: 1.0.0\nsteps:\n")
	for i := range steps {
		fmt.Fprintf(&text, "  - name: step_%d\n    handler: { callable: h }\n", i)
		if i > 0 {
			fmt.Fprintf(&text, "    dependencies: [step_%d]\n", i/2)
		}
	}
	return text.String()
}

func BenchmarkParse10000Steps(b *testing.B) {
	text := []byte(chain(10_000))
	for b.Loop() {
		if _, _, err := new(templates.Reader).Parse("big.yml", text); err != nil {
			b.Fatal(err)
		}
	}
}
