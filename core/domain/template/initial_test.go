package template_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/template"
)

// workflow makes a template of steps given as name, type and parents.
func workflow(t require.TestingT, steps ...[]string) *template.Template {
	d := template.Template{Name: "n", Namespace: "ns", Version: "1.0.0"}
	for _, s := range steps {
		st := template.Step{Name: s[0], Type: template.StepType(s[1]), Dependencies: s[2:], Handler: template.Handler{Callable: "h"}}
		if st.Type == template.BatchWorker {
			st.BatchConfig = &template.BatchConfig{BatchSize: 1, Parallelism: 1, WorkerTemplate: s[0]}
		}
		d.Steps = append(d.Steps, st)
	}
	tmpl, err := template.New(d)
	require.NoError(t, err)
	return tmpl
}

func TestInitial(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps [][]string
		want  []string
	}{
		"all of a plain workflow": {
			[][]string{{"a", ""}, {"b", "", "a"}, {"c", "", "a"}, {"d", "", "b", "c"}},
			[]string{"a", "b", "c", "d"},
		},
		"a decision but nothing below it": {
			[][]string{
				{"fetch", ""}, {"choose", "decision", "fetch"}, {"now", "", "choose"}, {"later", "", "choose"},
				{"after", "", "now"}, {"notify", "deferred_convergence", "now", "later"}, {"aside", "", "fetch"},
			},
			[]string{"fetch", "choose", "aside"},
		},
		"no decision below a decision": {
			[][]string{{"a", ""}, {"d1", "decision", "a"}, {"d2", "decision", "d1"}, {"x", "", "d2"}},
			[]string{"a", "d1"},
		},
		"neither worker nor convergence of a batch": {
			[][]string{{"plan", "batchable"}, {"chunk", "batch_worker", "plan"}, {"publish", "deferred_convergence", "chunk"}},
			[]string{"plan"},
		},
		"nothing behind a convergence": {
			[][]string{{"plan", "batchable"}, {"chunk", "batch_worker", "plan"}, {"publish", "deferred_convergence", "chunk"}, {"mail", "", "publish"}},
			[]string{"plan"},
		},
		"a batch beside a decision": {
			[][]string{
				{"plan", "batchable"}, {"chunk", "batch_worker", "plan"}, {"publish", "deferred_convergence", "chunk"},
				{"choose", "decision", "plan"}, {"x", "", "choose"},
			},
			[]string{"plan", "choose"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl := workflow(t, c.steps...)
			var got []string
			for _, no := range tmpl.Initial() {
				got = append(got, tmpl.Step(no).Name)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	tmpl := read(t, full)
	require.Same(t, tmpl, tmpl.Resolve("development"))

	r := tmpl.Resolve("production")
	require.Empty(t, r.Environments)
	require.NotEqual(t, tmpl.Hash(), r.Hash())
	require.Equal(t, 99, r.Step(1).TimeoutSeconds)
	require.Equal(t, `{"chunk":1,"deep":{"x":1},"worker_template_name":"chunk"}`, string(r.Step(1).Handler.Initialization))
	require.Equal(t, `{"chunk":1,"deep":{"x":1}}`, string(r.Step(3).Handler.Initialization))
	require.Equal(t, template.Retry{Retryable: true, MaxAttempts: 9, Backoff: "exponential", BackoffBaseMS: 1000, MaxBackoffMS: 30_000}, r.Step(2).Retry, "replaced whole")
	require.Equal(t, tmpl.Step(1).Retry, r.Step(1).Retry)

	require.Equal(t, read(t, full), tmpl, "the template itself has not changed")
}

func TestResolvePrefersTheStepsOwnOverride(t *testing.T) {
	t.Parallel()
	tmpl := read(t, `{"name":"n","namespace_name":"ns","version":"1.0.0","steps":[{"name":"a","handler":{"callable":"h"}},{"name":"b","handler":{"callable":"h"}}],
		"environments":{"e":{"steps":[{"name":"a","timeout_seconds":1},{"name":"ALL","timeout_seconds":2}]}}}`)
	r := tmpl.Resolve("e")
	require.Equal(t, 1, r.Step(1).TimeoutSeconds)
	require.Equal(t, 2, r.Step(2).TimeoutSeconds)
}
