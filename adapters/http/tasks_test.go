package http_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
)

func TestCreateAnswersTheWholeTask(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.ask("POST", "/v1/tasks", minimal)
	require.Equal(t, http.StatusCreated, a.Code, a.Body.String())
	require.Equal(t, "application/json", a.Header().Get("Content-Type"))
	require.Empty(t, a.Header().Get("X-Tasker-Unknown-Fields"))
	m := a.json()
	require.Equal(t, "/v1/tasks/"+m["task_uuid"].(string), a.Header().Get("Location"))
	require.Equal(t, "steps_in_process", m["status"])
	require.Equal(t, "2026-03-01T09:00:00.123456Z", m["created_at"])
	require.Nil(t, m["completed_at"])
	require.Contains(t, m, "tags")
	require.Contains(t, a.Body.String(), `"completion_percentage":50.0,`)
	require.Equal(t, "processing", m["execution_status"])
	steps := m["steps"].([]any)
	require.Len(t, steps, 2)
	second := steps[1].(map[string]any)
	require.Equal(t, "ship", second["name"])
	require.Equal(t, "enqueued", second["current_state"])
	require.Contains(t, second, "backoff_request_seconds")
	require.NotEmpty(t, second["named_step_uuid"])

	again := d.ask("GET", a.Header().Get("Location"), "")
	require.Equal(t, http.StatusOK, again.Code)
	require.Equal(t, steps[0].(map[string]any)["named_step_uuid"], again.json()["steps"].([]any)[0].(map[string]any)["named_step_uuid"])
}

func TestCreateTakesEveryField(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.ask("POST", "/v1/tasks", `{"name":"order","namespace":"orders","version":"1.0.0",
		"context":{"b": 1.50, "a":[1e2,"\u00e9"]}, "options":{"x":1},"initiator":"me","source_system":"shop","reason":"why",
		"tags":["a","b"],"requested_at":"2026-03-01T10:00:00.123456789","priority":-7,
		"correlation_id":"0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e","parent_correlation_id":"1d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e"}`,
		"Idempotency-Key: k1")
	require.Equal(t, http.StatusCreated, a.Code, a.Body.String())
	r := d.last
	require.Equal(t, `{"b": 1.50, "a":[1e2,"\u00e9"]}`, string(r.Context), "byte for byte")
	require.Equal(t, `{"x":1}`, string(r.Options))
	require.Equal(t, []string{"a", "b"}, r.Tags)
	require.Equal(t, time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.UTC), r.RequestedAt)
	require.EqualValues(t, -7, r.Priority)
	require.Equal(t, []string{"me", "shop", "why", "k1"}, []string{r.Initiator, r.SourceSystem, r.Reason, r.IdempotencyKey})
	require.Equal(t, "0d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e", r.CorrelationID)
	require.Equal(t, "1d9a5e5c-26a5-4a6a-9c0c-1f9c4a4f3b6e", r.ParentCorrelationID)
}

func TestCreateTakesNullForWhatIsOptional(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.ask("POST", "/v1/tasks", `{"name":"order","namespace":"orders","version":"1.0.0","context":null,"options":null,
		"initiator":null,"source_system":null,"reason":null,"tags":null,"requested_at":null,"priority":null,
		"correlation_id":null,"parent_correlation_id":null,"idempotency_key":null}`)
	require.Equal(t, http.StatusCreated, a.Code, a.Body.String())
	require.Nil(t, d.last.Context)
	require.Zero(t, d.last.RequestedAt)

	for form, want := range map[string]time.Time{
		"2026-03-01T10:00:00Z":          time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		"2026-03-01T10:00:00.5+02:00":   time.Date(2026, 3, 1, 8, 0, 0, 5e8, time.UTC),
		"2026-03-01T10:00:00":           time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		"2026-03-01T10:00:00.123456789": time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.UTC),
	} {
		a := d.ask("POST", "/v1/tasks", `{"name":"order","requested_at":"`+form+`"}`)
		require.Equal(t, http.StatusCreated, a.Code, form)
		require.Equal(t, want, d.last.RequestedAt)
	}
}

func TestUnknownFieldsAreNamed(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.ask("POST", "/v1/tasks", `{"name":"order","prioritty":1,"Name":"other","a, b\r\nX: y":2,"é":3}`)
	require.Equal(t, http.StatusCreated, a.Code, a.Body.String())
	require.Equal(t, "order", d.last.Name, "names are as they are spelled")
	require.Equal(t, "prioritty, Name, a%2C+b%0D%0AX%3A+y, %C3%A9", a.Header().Get("X-Tasker-Unknown-Fields"))

	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, `,"x%d%s":1`, i, strings.Repeat("y", 100))
	}
	a = d.ask("POST", "/v1/tasks", `{"name":"order"`+many.String()+`}`)
	require.Equal(t, http.StatusCreated, a.Code)
	require.Less(t, len(a.Header().Get("X-Tasker-Unknown-Fields")), 1500)
}

func TestADuplicateNamesTheTask(t *testing.T) {
	t.Parallel()
	d := open(t)
	first := d.ask("POST", "/v1/tasks", minimal, "Idempotency-Key: k").json()
	m := d.ask("POST", "/v1/tasks", minimal, "Idempotency-Key: k").problem(409, "task_exists", "CONFLICT")
	require.Equal(t, first["task_uuid"], m["task_uuid"])
	require.Contains(t, m["error"].(map[string]any)["message"], "identity")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	d := open(t)
	path := "/v1/tasks/" + d.add(task.StepsInProcess).ID.String()
	a := d.ask("DELETE", path, "")
	require.Equal(t, http.StatusOK, a.Code)
	require.Equal(t, "cancelled", a.json()["status"])
	require.Equal(t, "anonymous", d.by)
	m := d.ask("DELETE", path, "").problem(400, "task_finished", "BAD_REQUEST")
	require.Equal(t, "cancelled", m["state"])
}

func TestSteps(t *testing.T) {
	t.Parallel()
	d := open(t)
	tk := d.add(task.StepsInProcess)
	base := "/v1/tasks/" + tk.ID.String() + "/workflow_steps"
	a := d.ask("GET", base, "")
	require.Equal(t, http.StatusOK, a.Code)
	var steps []map[string]any
	require.NoError(t, json.Unmarshal(a.Body.Bytes(), &steps))
	require.Len(t, steps, 2)
	require.Contains(t, a.Body.String(), `"results":{"success":true,"result":{"n":1.0}}`)
	require.Contains(t, a.Body.String(), `"results":null`)
	require.Equal(t, "2026-03-01T09:00:00.123456Z", steps[0]["completed_at"])
	require.Nil(t, steps[1]["completed_at"])
	require.EqualValues(t, 1, steps[1]["completed_parents"])

	one := d.ask("GET", base+"/"+tk.Steps[1].Ref.ID().String(), "")
	require.Equal(t, http.StatusOK, one.Code)
	require.Equal(t, steps[1], one.json())

	d.ask("GET", base+"/"+ident.StepRef{Task: tk.ID, No: 9}.ID().String(), "").problem(404, "step_not_found", "NOT_FOUND")
	d.ask("GET", base+"/x", "").problem(400, "invalid_uuid", "BAD_REQUEST")
	d.ask("GET", "/v1/tasks/x/workflow_steps", "").problem(400, "invalid_uuid", "BAD_REQUEST")
	m := d.ask("GET", "/v1/tasks/x", "").problem(400, "invalid_uuid", "INVALID_UUID")
	require.Equal(t, "uuid", m["errors"].([]any)[0].(map[string]any)["field"])
	d.ask("GET", "/v1/tasks/0d9a5e5c26a54a6a9c0c1f9c4a400000", "").problem(404, "task_not_found", "NOT_FOUND")
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	d := open(t)
	m := d.ask("GET", "/v1/templates?namespace=orders", "").json()
	require.EqualValues(t, 2, m["total_count"])
	require.Len(t, m["namespaces"], 2)
	require.Equal(t, []any{map[string]any{
		"name": "order", "namespace": "orders", "version": "1.0.0", "description": "Orders", "step_count": 2.0,
	}}, m["templates"])
	require.Contains(t, d.ask("GET", "/v1/templates?namespace=nowhere", "").Body.String(), `"templates":[]`)

	one := d.ask("GET", "/v1/templates/orders/order/1.0.0", "").json()
	require.Contains(t, one, "configuration")
	require.Nil(t, one["configuration"])
	steps := one["steps"].([]any)
	require.Equal(t, map[string]any{"type": "object"}, steps[0].(map[string]any)["result_schema"])
	require.Equal(t, map[string]any{
		"name": "ship", "description": nil, "default_retryable": true, "default_max_attempts": 5.0, "result_schema": nil,
	}, steps[1])
	d.ask("GET", "/v1/templates/orders/order/2", "").problem(404, "template_not_found", "NOT_FOUND")
	d.ask("GET", "/v1/templates/orders/a%00b/2", "").problem(400, "invalid_field", "BAD_REQUEST")
	d.ask("GET", "/v1/templates/orders/a%FFb/2", "").problem(400, "malformed_body", "BAD_REQUEST")
}
