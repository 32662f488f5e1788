package template_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/template"
)

// two is a template with room for changes.
const two = `{"name":"n","namespace_name":"ns","version":"1.0.0","steps":[
	{"name":"a","handler":{"callable":"h"}},
	{"name":"b","handler":{"callable":"h"},"dependencies":["a"]}]}`

func TestEachRule(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	step := func(fields string) []string {
		return []string{`"dependencies":["a"]`, `"dependencies":["a"],` + fields}
	}
	top := func(fields string) []string { return []string{`"steps":[`, fields + `,"steps":[`} }
	for name, c := range map[string]struct {
		change []string // from, to, from, to …
		field  string
		saying string
	}{
		"no name":                  {[]string{`"name":"n",`, ``}, "name", "is missing"},
		"long name":                {[]string{`"name":"n"`, `"name":"` + long(256) + `"`}, "name", "256 characters"},
		"space around a name":      {[]string{`"name":"n"`, `"name":" n"`}, "name", "white space"},
		"line break in a name":     {[]string{`"name":"n"`, `"name":"n\nm"`}, "name", "control character"},
		"no namespace":             {[]string{`"ns"`, `""`}, "namespace_name", "is missing"},
		"long namespace":           {[]string{`"ns"`, `"` + long(30) + `"`}, "namespace_name", "30 characters, want at most 29"},
		"namespace with a dash":    {[]string{`"ns"`, `"n-s"`}, "namespace_name", "letters, digits and underscores"},
		"namespace with a digit":   {[]string{`"ns"`, `"1ns"`}, "namespace_name", "no digit first"},
		"no version":               {[]string{`"1.0.0"`, `""`}, "version", "is missing"},
		"short version":            {[]string{`"1.0.0"`, `"1.0"`}, "version", "three numbers"},
		"version with a v":         {[]string{`"1.0.0"`, `"v1.0.0"`}, "version", "three numbers"},
		"version with zeros":       {[]string{`"1.0.0"`, `"1.00.0"`}, "version", "three numbers"},
		"long version":             {[]string{`"1.0.0"`, `"1.0.0-` + long(50) + `"`}, "version", "at most 50"},
		"identity strategy":        {top(`"identity_strategy":"sometimes"`), "identity_strategy", "want one of strict, caller_provided, always_unique"},
		"input schema":             {top(`"input_schema":[]`), "input_schema", "want a JSON Schema"},
		"domain event no name":     {top(`"domain_events":[{"description":"d"}]`), "domain_events[0].name", "is missing"},
		"no steps":                 {[]string{`"steps":[`, `"steps":[],"was":[`}, "steps", "at least one step"},
		"no step name":             {[]string{`"name":"b",`, ``}, "steps[1].name", "is missing"},
		"step name twice":          {[]string{`"name":"b"`, `"name":"a"`, `["a"]`, `[]`}, "steps[1].name", "taken by step 1"},
		"step called ALL":          {[]string{`"name":"b"`, `"name":"ALL"`}, "steps[1].name", "stands for every step"},
		"self edge":                {[]string{`["a"]`, `["a","b"]`}, "steps[1].dependencies[1]", "depends on itself"},
		"unknown dependency":       {[]string{`["a"]`, `["a","c"]`}, "steps[1].dependencies[1]", `"c" is not a step`},
		"dependency twice":         {[]string{`["a"]`, `["a","a"]`}, "steps[1].dependencies[1]", "named twice"},
		"cycle":                    {[]string{`"name":"a",`, `"name":"a","dependencies":["b"],`}, "steps[0].dependencies[0]", "a -> b -> a"},
		"no handler":               {[]string{`"name":"b","handler":{"callable":"h"},`, `"name":"b",`}, "steps[1].handler.callable", "is missing"},
		"empty callable":           {[]string{`"b","handler":{"callable":"h"}`, `"b","handler":{"callable":""}`}, "steps[1].handler.callable", "is missing"},
		"long callable":            {[]string{`"b","handler":{"callable":"h"}`, `"b","handler":{"callable":"` + long(501) + `"}`}, "steps[1].handler.callable", "at most 500"},
		"step type":                {step(`"type":"magic"`), "steps[1].type", "want one of standard, decision"},
		"decision without parents": {[]string{`"name":"a",`, `"name":"a","type":"decision",`}, "steps[0].dependencies", "at least one step"},
		"convergence of nothing":   {step(`"type":"deferred_convergence"`), "steps[1].dependencies", "leads to no step of type decision or batch_worker"},
		"convergence at the root":  {[]string{`"name":"a",`, `"name":"a","type":"deferred_convergence",`}, "steps[0].dependencies", "at least one step"},
		"worker without config":    {[]string{`"name":"a",`, `"name":"a","type":"batchable",`, `["a"]`, `["a"],"type":"batch_worker"`}, "steps[1].batch_config", "is missing"},
		"worker without batchable": {step(`"type":"batch_worker","batch_config":{"worker_template":"b"}`), "steps[1].dependencies", "no step of type batchable"},
		"batchable without worker": {step(`"type":"batchable"`), "steps[1].handler.initialization", "no worker_template_name"},
		"batchable, wrong worker":  {[]string{`"b","handler":{"callable":"h"}`, `"b","type":"batchable","handler":{"callable":"h","initialization":{"worker_template_name":"a"}}`}, "steps[1].handler.initialization.worker_template_name", "type batch_worker"},
		"batch size":               {step(`"batch_config":{"worker_template":"b","batch_size":100001}`), "steps[1].batch_config.batch_size", "1 to 100000"},
		"batch size zero":          {step(`"batch_config":{"worker_template":"b","batch_size":0}`), "steps[1].batch_config.batch_size", "1 to 100000"},
		"parallelism":              {step(`"batch_config":{"worker_template":"b","parallelism":1001}`), "steps[1].batch_config.parallelism", "1 to 1000"},
		"worker template":          {step(`"batch_config":{}`), "steps[1].batch_config.worker_template", "is missing"},
		"failure strategy":         {step(`"batch_config":{"worker_template":"b","failure_strategy":"hope"}`), "steps[1].batch_config.failure_strategy", "want one of continue_on_failure, fail_fast, isolate"},
		"attempts zero":            {step(`"retry":{"max_attempts":0}`), "steps[1].retry.max_attempts", "is 0, want 1 to 100"},
		"attempts many":            {step(`"retry":{"max_attempts":101}`), "steps[1].retry.max_attempts", "want 1 to 100"},
		"backoff":                  {step(`"retry":{"backoff":"wild"}`), "steps[1].retry.backoff", "none, fixed, linear, exponential, fibonacci"},
		"backoff base":             {step(`"retry":{"backoff_base_ms":99}`), "steps[1].retry.backoff_base_ms", "100 to 3600000"},
		"backoff maximum":          {step(`"retry":{"max_backoff_ms":3600001}`), "steps[1].retry.max_backoff_ms", "1000 to 3600000"},
		"jitter below":             {step(`"retry":{"jitter":-0.01}`), "steps[1].retry.jitter", "is -0.01, want 0 to 1"},
		"jitter above":             {step(`"retry":{"jitter":1.01}`), "steps[1].retry.jitter", "want 0 to 1"},
		"jitter as text":           {step(`"retry":{"jitter":"0.5"}`), "steps[1].retry.jitter", "is text, want a number"},
		"jitter without end":       {step(`"retry":{"jitter":1e999}`), "steps[1].retry.jitter", "beyond the numbers"},
		"on failure":               {top(`"on_failure":"panic"`), "on_failure", "want one of continue, fail_fast"},
		"lifecycle as text":        {top(`"lifecycle":{"max_duration_minutes":"5"}`), "lifecycle.max_duration_minutes", "is text, want a number"},
		"lifecycle in parts":       {top(`"lifecycle":{"max_duration_minutes":1.5}`), "lifecycle.max_duration_minutes", "not a whole number"},
		"override's jitter":        {top(`"environments":{"prod":{"steps":[{"name":"a","retry":{"jitter":2}}]}}`), "environments.prod.steps[0].retry.jitter", "want 0 to 1"},
		"timeout zero":             {step(`"timeout_seconds":0`), "steps[1].timeout_seconds", "at least 1"},
		"timeout negative":         {step(`"timeout_seconds":-1`), "steps[1].timeout_seconds", "at least 1"},
		"result schema":            {step(`"result_schema":"x"`), "steps[1].result_schema", "JSON Schema"},
		"event name":               {step(`"publishes_events":[{"name":"paid","description":"d","schema":{}}]`), "steps[1].publishes_events[0].name", "dots between"},
		"event name in capitals":   {step(`"publishes_events":[{"name":"Order.paid","description":"d","schema":{}}]`), "steps[1].publishes_events[0].name", "lower case"},
		"event description":        {step(`"publishes_events":[{"name":"a.b","schema":{}}]`), "steps[1].publishes_events[0].description", "is missing"},
		"event schema":             {step(`"publishes_events":[{"name":"a.b","description":"d"}]`), "steps[1].publishes_events[0].schema", "is missing"},
		"event condition":          {step(`"publishes_events":[{"name":"a.b","description":"d","schema":{},"condition":"x"}]`), "steps[1].publishes_events[0].condition", "want one of success"},
		"event delivery":           {step(`"publishes_events":[{"name":"a.b","description":"d","schema":{},"delivery_mode":"x"}]`), "steps[1].publishes_events[0].delivery_mode", "want one of durable"},
		"event publisher":          {step(`"publishes_events":[{"name":"a.b","description":"d","schema":{},"publisher":"a b"}]`), "steps[1].publishes_events[0].publisher", "identifier"},
		"lifecycle dependencies":   {top(`"lifecycle":{"max_waiting_for_dependencies_minutes":10081}`), "lifecycle.max_waiting_for_dependencies_minutes", "1 to 10080"},
		"lifecycle retry":          {top(`"lifecycle":{"max_waiting_for_retry_minutes":-1}`), "lifecycle.max_waiting_for_retry_minutes", "1 to 10080"},
		"lifecycle in process":     {top(`"lifecycle":{"max_steps_in_process_minutes":10081}`), "lifecycle.max_steps_in_process_minutes", "1 to 10080"},
		"lifecycle duration":       {top(`"lifecycle":{"max_duration_minutes":43201}`), "lifecycle.max_duration_minutes", "1 to 43200"},
		"lifecycle zero":           {top(`"lifecycle":{"max_duration_minutes":0}`), "lifecycle.max_duration_minutes", "at least 1"},
		"staleness action":         {top(`"lifecycle":{"staleness_action":"` + long(51) + `"}`), "lifecycle.staleness_action", "at most 50"},
		"override of nobody":       {top(`"environments":{"prod":{"steps":[{"name":"c"}]}}`), "environments.prod.steps[0].name", "not a step of this template"},
		"override's retry":         {top(`"environments":{"prod":{"steps":[{"name":"ALL","retry":{"max_attempts":0}}]}}`), "environments.prod.steps[0].retry.max_attempts", "1 to 100"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := strings.NewReplacer(c.change...).Replace(two)
			require.NotEqual(t, two, doc)
			_, _, err := template.Read([]byte(doc))
			require.True(t, fault.Is(err, fault.CodeInvalidTemplate), "%v", err)
			details := fault.Of(err).Details
			require.Len(t, details, 1, "%v", details)
			require.Equal(t, c.field, details[0].Field)
			require.Contains(t, details[0].Message, c.saying)
		})
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := template.Read([]byte(`{"namespace_name":"1","version":"x","steps":[
		{"name":"a","handler":{},"dependencies":["b","z"],"retry":{"max_attempts":0}},
		{"name":"b","handler":{"callable":"h"},"dependencies":["a"]},
		{"name":"a","handler":{"callable":"h"},"type":"odd"}]}`))
	var fields []string
	for _, d := range fault.Of(err).Details {
		fields = append(fields, d.Field)
	}
	require.Equal(t, []string{
		"name", "namespace_name", "version",
		"steps[0].handler.callable", "steps[0].retry.max_attempts", "steps[0].dependencies[0]", "steps[0].dependencies[1]",
		"steps[2].type", "steps[2].name",
	}, fields)
}

func TestLimitsThemselvesAreAllowed(t *testing.T) {
	t.Parallel()
	for _, change := range [][]string{
		{`"name":"n"`, `"name":"` + strings.Repeat("é", 255) + `"`},
		{`"ns"`, `"_` + strings.Repeat("9", 28) + `"`},
		{`"1.0.0"`, `"0.0.10-rc.1"`},
		{`"dependencies":["a"]`, `"dependencies":["a"],"retry":{"max_attempts":100,"backoff":"none","backoff_base_ms":100,"max_backoff_ms":1000}`},
		{`"dependencies":["a"]`, `"dependencies":["a"],"publishes_events":[{"name":"a.b_c.d","description":"d","schema":false,"publisher":"A::B.c"}]`},
		{`"dependencies":["a"]`, `"dependencies":["a"],"retry":{"jitter":0,"backoff":"fixed","backoff_base_ms":3600000,"max_backoff_ms":3600000}`},
		{`"dependencies":["a"]`, `"dependencies":["a"],"retry":{"jitter":1}`},
		{`"steps":[`, `"lifecycle":{"max_waiting_for_dependencies_minutes":1,"max_waiting_for_retry_minutes":1,"max_steps_in_process_minutes":1,"max_duration_minutes":1,"staleness_action":"error"},"steps":[`},
		{`"steps":[`, `"lifecycle":{"max_duration_minutes":43200,"staleness_action":"dlq","max_waiting_for_retry_minutes":10080},"steps":[`},
	} {
		read(t, strings.NewReplacer(change...).Replace(two))
	}
}
