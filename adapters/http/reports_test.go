package http_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/auth"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

func TestSummary(t *testing.T) {
	t.Parallel()
	d := open(t)
	tk := d.add(task.BlockedByFailures)
	tk.Steps[1].StepRecord.State = step.Error
	tk.Steps[1].Failure = []byte(`{"message":"no","error_type":"Declined","retryable":true,"status_code":402}`)
	path := "/v1/tasks/" + tk.ID.String() + "/summary"
	m := d.ask("GET", path, "").json()
	require.Equal(t, "blocked_by_failures", m["task"].(map[string]any)["status"])
	require.Equal(t, map[string]any{"in_dlq": false, "dlq_reason": nil, "resolution_status": nil}, m["dlq"])
	require.Equal(t, map[string]any{
		"task": "/v1/tasks/" + tk.ID.String(), "steps": "/v1/tasks/" + tk.ID.String() + "/workflow_steps", "dlq": "/v1/dlq",
	}, m["links"])
	steps := m["steps"].([]any)
	require.Len(t, steps, 2)
	require.Nil(t, steps[0].(map[string]any)["error"])
	require.Equal(t, map[string]any{"error_type": "Declined", "retryable": true, "status_code": 402.0}, steps[1].(map[string]any)["error"])
	require.Equal(t, []any{
		map[string]any{"name": "pay", "step_type": "standard", "handler": "pay", "dependencies": []any{}, "retryable": true, "max_attempts": 3.0},
		map[string]any{"name": "ship", "step_type": "standard", "handler": "ship", "dependencies": []any{"pay"}, "retryable": false, "max_attempts": 5.0},
	}, m["template"].(map[string]any)["steps"])

	l := d.AddLetter(tk.ID, deadletter.MaxRetriesExceeded)
	require.Equal(t, map[string]any{"in_dlq": true, "dlq_reason": "max_retries_exceeded", "resolution_status": "pending"}, d.ask("GET", path, "").json()["dlq"])
	d.ask("PATCH", "/v1/dlq/entry/"+l.ID.String(), `{"resolution_status":"Cancelled"}`)
	require.Equal(t, map[string]any{"in_dlq": false, "dlq_reason": "max_retries_exceeded", "resolution_status": "cancelled"}, d.ask("GET", path, "").json()["dlq"])

	d.ask("GET", "/v1/tasks/x/summary", "").problem(400, "invalid_uuid", "INVALID_UUID")
	d.ask("GET", "/v1/tasks/0d9a5e5c-26a5-7a6a-9c0c-1f9c4a400000/summary", "").problem(404, "task_not_found", "NOT_FOUND")
}

func TestContext(t *testing.T) {
	t.Parallel()
	d := open(t)
	tk := d.add(task.StepsInProcess)
	require.JSONEq(t, `{"inputs":{"order":7,"pay":"to be replaced"},"outputs":{"pay":[1,"two"]},"merged":{"order":7,"pay":[1,"two"]},
		"omitted_outputs":["ship"]}`, d.ask("GET", "/v1/tasks/"+tk.ID.String()+"/context", "").Body.String())
	d.ask("GET", "/v1/tasks/0d9a5e5c-26a5-7a6a-9c0c-1f9c4a400000/context", "").problem(404, "task_not_found", "NOT_FOUND")
}

func TestAnalytics(t *testing.T) {
	t.Parallel()
	d := open(t)
	require.JSONEq(t, `{"total_tasks":48,"active_tasks":3,"completed_tasks":36,"failed_tasks":6,"completion_rate":75.0,"error_rate":12.5,
		"average_task_duration_seconds":1.5,"average_step_duration_seconds":0.25,"tasks_per_hour":2,"steps_per_hour":4,
		"system_health_score":0.857,"analysis_period_start":"2026-02-28T10:00:00.123456Z","calculated_at":"2026-03-01T10:00:00.123456Z",
		"sampled":true}`, d.ask("GET", "/v1/analytics/performance", "").Body.String())
	require.Equal(t, []any{int64(app.DefaultHours)}, d.Last().Args)
	d.ask("GET", "/v1/analytics/performance?hours=0", "")
	require.Equal(t, []any{int64(0)}, d.Last().Args)
	for _, hours := range []string{"-1", "x", "", "1.5", "99999999999999999999"} {
		d.ask("GET", "/v1/analytics/performance?hours="+hours, "").problem(400, "invalid_field", "BAD_REQUEST")
	}

	m := d.ask("GET", "/v1/analytics/bottlenecks", "").json()
	require.Equal(t, []any{int64(app.DefaultBottlenecks), int64(app.DefaultMinExecutions)}, d.Last().Args)
	require.Equal(t, map[string]any{
		"namespace_name": "orders", "task_name": "order", "version": "1.0.0", "step_name": "pay", "average_duration_seconds": 1.5,
		"max_duration_seconds": 2.0, "execution_count": 8.0, "error_count": 2.0, "error_rate": 0.25, "last_executed_at": "2026-03-01T10:00:00.123456Z",
	}, m["slow_steps"].([]any)[0])
	require.Equal(t, map[string]any{
		"namespace_name": "orders", "task_name": "order", "version": "1.0.0", "average_duration_seconds": 3.0, "max_duration_seconds": 4.0,
		"execution_count": 3.0, "average_step_count": 2.0, "error_count": 2.0, "error_rate": 0.3333, "last_executed_at": "2026-03-01T10:00:00.123456Z",
	}, m["slow_tasks"].([]any)[0])
	use := m["resource_utilization"].(map[string]any)
	require.InDelta(t, 0.25, use["database_pool_utilization"], 1e-9)
	health := use["system_health"].(map[string]any)
	require.Len(t, health, len(task.States())+len(step.States())+2)
	require.InDelta(t, 2, health["complete_tasks"], 0)
	require.InDelta(t, 2, health["error_steps"], 0)
	require.InDelta(t, 0, health["waiting_for_retry_tasks"], 0)
	require.InDelta(t, 6, health["total_steps"], 0)
	require.Equal(t, []any{"look at pay"}, m["recommendations"])
	d.ask("GET", "/v1/analytics/bottlenecks?limit=-1", "").problem(400, "invalid_field", "BAD_REQUEST")
}

func TestConfig(t *testing.T) {
	t.Parallel()
	d := open(t)
	require.JSONEq(t, `{"metadata":{"timestamp":"2026-03-01T10:00:00.123456Z","environment":"test","version":"1.2.3"},
		"auth":{"enabled":true,"verification_method":"none","jwt_issuer":"","jwt_audience":"","api_key_header":"X-API-Key","api_key_count":2,
			"strict_validation":true,"allowed_algorithms":[]},
		"circuit_breakers":{"enabled":true,"failure_threshold":5,"timeout_seconds":30,"success_threshold":2},
		"database_pools":{"web_api_pool_size":12,"web_api_max_connections":20},
		"deployment_mode":"Hybrid","messaging":{"backend":"river","queues":["tasker_control"]}}`, d.ask("GET", "/config", "").Body.String())

	closed := open(t, auth.Key{Key: "reader", Permissions: []access.Permission{access.TasksRead}},
		auth.Key{Key: "system", Permissions: []access.Permission{access.SystemConfigRead}})
	closed.ask("GET", "/config", "").problem(401, "unauthenticated", "AUTHENTICATION_FAILED")
	closed.ask("GET", "/config", "", "X-API-Key: reader").problem(403, "permission_denied", "AUTHORIZATION_FAILED")
	require.Equal(t, 200, closed.ask("GET", "/config", "", "X-API-Key: system").Code)
}
