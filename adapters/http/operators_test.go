package http_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/auth"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/test/parity/doortest"
)

func TestCreateTakesTimesAndAnswersDuplicates(t *testing.T) {
	t.Parallel()
	d := open(t)
	with := func(extra string) answer {
		return d.ask("POST", "/v1/tasks", `{"name":"order","namespace":"orders","version":"1.0.0",`+extra+`}`)
	}
	a := with(`"start_at":"2026-03-01T12:00:00+02:00","deadline":"2026-03-02T10:00:00","idempotency_key":"k"`)
	require.Equal(t, http.StatusCreated, a.Code, a.Body.String())
	require.Equal(t, time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), d.last.StartAt)
	require.Equal(t, "2026-03-01T10:00:00Z", a.json()["start_at"])
	require.Equal(t, "2026-03-02T10:00:00Z", a.json()["deadline"])
	again := with(`"idempotency_key":"k","on_duplicate":"return"`)
	require.Equal(t, http.StatusOK, again.Code, again.Body.String())
	require.Equal(t, a.json()["task_uuid"], again.json()["task_uuid"])
	require.Equal(t, a.Header().Get("Location"), again.Header().Get("Location"))
	with(`"idempotency_key":"k","on_duplicate":"reject"`).problem(409, "task_exists", "CONFLICT")

	require.Equal(t, http.StatusCreated, with(`"delay_seconds":90.5`).Code)
	require.Equal(t, 90500*time.Millisecond, d.last.Delay)
	a = with(`"deadline":null`)
	require.Nil(t, a.json()["start_at"])
	require.Contains(t, a.json(), "deadline")
	for body, field := range map[string]string{
		`"delay_seconds":"1"`: "delay_seconds", `"start_at":1`: "start_at", `"deadline":"soon"`: "deadline",
		`"on_duplicate":true`: "on_duplicate",
	} {
		m := with(body).problem(400, "invalid_field", "BAD_REQUEST")
		require.Equal(t, field, m["errors"].([]any)[0].(map[string]any)["field"], body)
	}
}

func TestActionsOnTasks(t *testing.T) {
	t.Parallel()
	d := open(t, auth.Key{Key: "k", Subject: "ann"})
	tk := d.add(task.BlockedByFailures)
	path := "/v1/tasks/" + tk.ID.String()
	for action, c := range map[string]struct {
		op    app.Operation
		state string
	}{
		"give_up": {app.GiveUpTask, "error"}, "resolve": {app.ResolveTask, "resolved_manually"}, "retry": {app.RetryTask, "steps_in_process"},
	} {
		a := d.ask("POST", path+"/"+action, "", "X-API-Key: k")
		require.Equal(t, 200, a.Code, a.Body.String())
		require.Equal(t, c.state, a.json()["status"])
		require.Equal(t, doortest.Call{Op: c.op, Args: []any{tk.ID, "ann", ""}}, d.Last(), "by is whose key it is")
		a = d.ask("POST", path+"/"+action, `{"reason":"it is late","by":"bob","bye":1}`, "X-API-Key: k")
		require.Equal(t, 200, a.Code, a.Body.String())
		require.Equal(t, "bye", a.Header().Get("X-Tasker-Unknown-Fields"))
		require.Equal(t, doortest.Call{Op: c.op, Args: []any{tk.ID, "bob", "it is late"}}, d.Last())
		d.ask("POST", path+"/"+action, `{"reason":1}`, "X-API-Key: k").problem(400, "invalid_field", "BAD_REQUEST")
		d.ask("POST", path+"/"+action, `[]`, "X-API-Key: k").problem(400, "malformed_body", "BAD_REQUEST")
		d.ask("POST", path+"/"+action, `reason`, "X-API-Key: k", "Content-Type: text/plain").problem(415, "unsupported_media_type", "UNSUPPORTED_MEDIA_TYPE")
		d.ask("POST", "/v1/tasks/x/"+action, "", "X-API-Key: k").problem(400, "invalid_uuid", "INVALID_UUID")
	}
	running := d.add(task.StepsInProcess).ID.String()
	m := d.ask("POST", "/v1/tasks/"+running+"/give_up", "", "X-API-Key: k").problem(400, "task_not_blocked", "BAD_REQUEST")
	require.Equal(t, "steps_in_process", m["state"])
	d.ask("DELETE", "/v1/tasks/"+running+"/purge", "", "X-API-Key: k").problem(400, "task_not_finished", "BAD_REQUEST")
	a := d.ask("DELETE", "/v1/tasks/"+d.add(task.Complete).ID.String()+"/purge", "", "X-API-Key: k")
	require.Equal(t, 204, a.Code)
	require.Empty(t, a.Body.String())

	require.Equal(t, 200, d.ask("DELETE", "/v1/tasks/"+running+"?reason=changed%20my%20mind&by=bob", "", "X-API-Key: k").Code)
	require.Equal(t, []string{"bob", "changed my mind"}, []string{d.by, d.why})
}

func TestResolveStep(t *testing.T) {
	t.Parallel()
	d := open(t, auth.Key{Key: "k", Subject: "ann"})
	tk := d.add(task.BlockedByFailures)
	path := "/v1/tasks/" + tk.ID.String() + "/workflow_steps/" + tk.Steps[0].Ref.ID().String()
	for body, want := range map[string]app.StepAction{
		`{"action_type":"reset_for_retry","reason":"again","reset_by":"bob"}`:                    {Action: plan.ResetForRetry, By: "bob", Why: "again"},
		`{"inputs":{"a": 1.0},"action_type":"reset_for_retry"}`:                                  {Action: plan.ResetForRetry, By: "ann", Inputs: []byte(`{"a": 1.0}`)},
		`{"action_type":"resolve_manually","reason":"","resolved_by":""}`:                        {Action: plan.ResolveManually, By: "ann"},
		`{"action_type":"complete_manually","completion_data":{"result":null},"reset_by":"eve"}`: {Action: plan.CompleteManually, By: "ann"},
		`{"completion_data":{"metadata":"m","result":[1]},"completed_by":"bob","action_type":"complete_manually"}`: {
			Action: plan.CompleteManually, By: "bob", Value: []byte(`[1]`), Metadata: []byte(`"m"`),
		},
	} {
		a := d.ask("PATCH", path, body, "X-API-Key: k")
		require.Equal(t, 200, a.Code, a.Body.String())
		require.Equal(t, "resolved_manually", a.json()["current_state"])
		want.Task, want.Step = tk.ID, tk.Steps[0].Ref.ID()
		require.Equal(t, doortest.Call{Op: app.ResolveStep, Args: []any{want}}, d.Last(), body)
	}
	for body, field := range map[string]string{
		`{}`: "action_type", `{"action_type":"explode"}`: "action_type", `{"action_type":1}`: "action_type",
		`{"action_type":"complete_manually"}`:                                 "completion_data",
		`{"action_type":"complete_manually","completion_data":null}`:          "completion_data",
		`{"action_type":"complete_manually","completion_data":[]}`:            "completion_data",
		`{"action_type":"complete_manually","completion_data":{"results":1}}`: "completion_data.result",
		`{"action_type":"resolve_manually","completion_data":{"result":1}}`:   "completion_data",
		`{"action_type":"resolve_manually","inputs":{}}`:                      "inputs",
		`{"action_type":"resolve_manually","resolved_by":{}}`:                 "resolved_by",
	} {
		m := d.ask("PATCH", path, body, "X-API-Key: k").problem(400, "invalid_field", "BAD_REQUEST")
		require.Equal(t, field, m["errors"].([]any)[0].(map[string]any)["field"], body)
		require.NotContains(t, m["detail"], "explode")
	}
	a := d.ask("PATCH", path, `{"action_type":"complete_manually","completion_data":{"result":1,"x":2},"y":3}`, "X-API-Key: k")
	require.Equal(t, "y, completion_data.x", a.Header().Get("X-Tasker-Unknown-Fields"))
	d.ask("PATCH", path, ``, "X-API-Key: k", "Content-Type: application/json").problem(400, "malformed_body", "BAD_REQUEST")
	d.ask("PATCH", path+"x", `{"action_type":"resolve_manually"}`, "X-API-Key: k").problem(400, "invalid_uuid", "BAD_REQUEST")
}

func TestAudit(t *testing.T) {
	t.Parallel()
	d := open(t)
	tk := d.add(task.BlockedByFailures)
	id := tk.Steps[0].Ref.ID().String()
	a := d.ask("GET", "/v1/tasks/"+tk.ID.String()+"/workflow_steps/"+id+"/audit", "")
	require.Equal(t, 200, a.Code, a.Body.String())
	require.JSONEq(t, `[
		{"audit_uuid":"02000000-0000-4000-8000-000000000000","transition_uuid":"66000000-0000-4000-8000-000000000000",
		 "workflow_step_uuid":"`+id+`","task_uuid":"`+tk.ID.String()+`","recorded_at":"2026-03-01T10:00:02.123456Z","success":true,
		 "execution_time_ms":12,"result":{"success":true,"result":null},"step_name":"pay","from_state":"error",
		 "to_state":"resolved_manually","attempt":3,"dispatch":3,"by":"ann","reason":"paid in cash"},
		{"audit_uuid":"01000000-0000-4000-8000-000000000000","transition_uuid":"65000000-0000-4000-8000-000000000000",
		 "workflow_step_uuid":"`+id+`","task_uuid":"`+tk.ID.String()+`","recorded_at":"2026-03-01T10:00:01.123456Z","success":false,
		 "step_name":"pay","from_state":"in_progress","to_state":"error","path":["enqueued_as_error_for_orchestration"],
		 "attempt":3,"dispatch":3,"server":4,"error":{"message":"declined"}}]`, a.Body.String())
}

func TestPauses(t *testing.T) {
	t.Parallel()
	d := open(t)
	tk := d.add(task.StepsInProcess)
	for path, want := range map[string]ports.Pause{
		"/v1/tasks/" + tk.ID.String():      {Kind: ports.PauseTask, Task: tk.ID},
		"/v1/templates/orders/order/1.0.0": {Kind: ports.PauseTemplate, Name: doortest.Order},
		"/v1/namespaces/a%20b":             {Kind: ports.PauseNamespace, Name: task.Name{Namespace: "a b"}},
	} {
		want.By, want.Why = "anonymous", "stock taking"
		a := d.ask("POST", path+"/pause", `{"reason":"stock taking"}`)
		require.Equal(t, 200, a.Code, a.Body.String())
		require.Equal(t, []any{want}, d.Last().Args)
		m := a.json()
		require.Equal(t, string(want.Kind), m["kind"])
		require.Equal(t, "stock taking", m["reason"])
		require.Equal(t, "2026-03-01T10:00:00.123456Z", m["since"])
		require.Equal(t, m, d.ask("POST", path+"/pause", `{"reason":"other"}`).json(), "it stays as it is")
		require.Equal(t, true, d.ask("POST", path+"/resume", "").json()["resumed"])
		require.Equal(t, false, d.ask("POST", path+"/resume", "").json()["resumed"])
	}
	d.ask("POST", "/v1/tasks/"+tk.ID.String()+"/pause", "")
	d.ask("POST", "/v1/namespaces/orders/pause", "")
	a := d.ask("GET", "/v1/pauses?limit=5", "")
	require.JSONEq(t, `[{"kind":"task","task_uuid":"`+tk.ID.String()+`","namespace":null,"name":null,"version":null,"by":"anonymous",
		"reason":"","since":"2026-03-01T10:00:00.123456Z"},{"kind":"namespace","task_uuid":null,"namespace":"orders","name":null,
		"version":null,"by":"anonymous","reason":"","since":"2026-03-01T10:00:00.123456Z"}]`, a.Body.String())
	require.Equal(t, []any{5}, d.Last().Args)
	d.ask("GET", "/v1/pauses", "")
	require.Equal(t, []any{100}, d.Last().Args)
	d.ask("GET", "/v1/pauses?limit=many", "").problem(400, "invalid_field", "BAD_REQUEST")
	require.Equal(t, "[]\n", open(t).ask("GET", "/v1/pauses", "").Body.String())
}

func TestUploads(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.ask("POST", "/v1/templates?revise=true", templateDoc)
	require.Equal(t, 201, a.Code, a.Body.String())
	require.Equal(t, []any{templateDoc, true}, d.Last().Args, "byte for byte")
	m := a.json()["templates"].([]any)[0].(map[string]any)
	require.Equal(t, "order", m["name"])
	require.EqualValues(t, 2, m["revision"])
	require.EqualValues(t, 2, m["steps"])
	require.Len(t, m["content_hash"], 64)
	for _, media := range []string{"application/yaml", "application/x-yaml; charset=utf-8", "text/yaml"} {
		require.Equal(t, 201, d.ask("POST", "/v1/templates", templateDoc, "Content-Type: "+media).Code)
	}
	require.Equal(t, []any{templateDoc, false}, d.Last().Args)
	m = d.ask("POST", "/v1/templates", templateDoc, "Content-Type: text/plain").problem(415, "unsupported_media_type", "UNSUPPORTED_MEDIA_TYPE")
	require.Contains(t, m["detail"], "application/yaml")
	m = d.ask("POST", "/v1/templates", `{"name":"x","steps":[{"name":"a","dependencies":["b"]}]}`).problem(400, "invalid_template", "BAD_REQUEST")
	require.NotEmpty(t, m["errors"])
	require.Contains(t, m["errors"].([]any)[0].(map[string]any)["message"], "line 3, column 5: ")
	d.ask("POST", "/v1/templates", "", "Content-Type: text/yaml").problem(400, "malformed_body", "BAD_REQUEST")
	d.ask("POST", "/v1/templates?revise=perhaps", templateDoc).problem(400, "invalid_field", "BAD_REQUEST")

	a = d.ask("POST", "/v1/templates/validate", templateDoc)
	require.Equal(t, 200, a.Code, a.Body.String())
	require.Equal(t, true, a.json()["valid"])
	require.Equal(t, []any{}, a.json()["problems"])
	require.Equal(t, []any{map[string]any{"line": 1.0, "column": 1.0, "field": "x", "message": "has no effect"}}, a.json()["warnings"])
	require.Nil(t, a.json()["templates"].([]any)[0].(map[string]any)["revision"])
	a = d.ask("POST", "/v1/templates/validate", `{}`)
	require.Equal(t, 200, a.Code)
	require.Equal(t, false, a.json()["valid"])
	require.EqualValues(t, 3, a.json()["problems"].([]any)[0].(map[string]any)["line"])
	require.Equal(t, []any{}, a.json()["templates"])

	a = d.ask("POST", "/v1/templates/orders/order/1.0.0/disable", `{"reason":"broken"}`)
	require.Equal(t, map[string]any{"namespace": "orders", "name": "order", "version": "1.0.0", "disabled": true}, a.json())
	require.Equal(t, []any{doortest.Order, "anonymous", "broken"}, d.Last().Args)
	require.Equal(t, false, d.ask("POST", "/v1/templates/orders/order/1.0.0/enable", "").json()["disabled"])
	d.ask("POST", "/v1/templates/orders/nothing/1.0.0/disable", "").problem(404, "template_not_found", "NOT_FOUND")
}
