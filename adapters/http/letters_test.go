package http_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/auth"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/test/parity/doortest"
)

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	d := open(t)
	tk := d.add(task.BlockedByFailures)
	l := d.AddLetter(tk.ID, deadletter.MaxRetriesExceeded)
	want := `{"dlq_entry_uuid":"` + l.ID.String() + `","task_uuid":"` + tk.ID.String() + `","original_state":"blocked_by_failures",
		"dlq_reason":"MaxRetriesExceeded","dlq_timestamp":"2026-03-01T10:00:00.123456Z","resolution_status":"Pending",
		"resolution_timestamp":null,"resolution_notes":null,"resolved_by":null,"task_snapshot":{"task_uuid":"x"},"metadata":null,
		"created_at":"2026-03-01T10:00:00.123456Z","updated_at":"2026-03-01T10:00:00.123456Z","ordinal":1,"namespace":"orders",
		"name":"order","version":"1.0.0","fingerprint":"00ff"}`
	require.JSONEq(t, "["+want+"]", d.ask("GET", "/v1/dlq", "").Body.String())
	require.Equal(t, []any{ports.LetterFilter{}, 0, 50}, d.Last().Args)
	require.JSONEq(t, want, d.ask("GET", "/v1/dlq/task/"+tk.ID.String(), "").Body.String())
	d.ask("GET", "/v1/dlq/task/x", "").problem(400, "invalid_uuid", "INVALID_UUID")

	require.Equal(t, 200, d.ask("GET", "/v1/dlq?resolution_status=Pending&reason=max_retries_exceeded,ManualDlq&namespace=n&name=m&version=v"+
		"&fingerprint=f&from=2026-03-01T10:00:00Z&until=2026-03-02T00:00:00&limit=7&offset=3", "").Code)
	require.Equal(t, []any{ports.LetterFilter{
		Status: deadletter.Pending, Reasons: []deadletter.Reason{deadletter.MaxRetriesExceeded, deadletter.ManualDLQ}, Namespace: "n", Name: "m",
		Version: "v", Fingerprint: "f", From: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), Until: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
	}, 3, 7}, d.Last().Args)
	for _, s := range deadletter.Statuses() {
		for _, text := range []string{s.String(), deadletter.Pascal(s.String())} {
			require.Equal(t, 200, d.ask("GET", "/v1/dlq?resolution_status="+text, "").Code)
			require.Equal(t, ports.LetterFilter{Status: s}, d.Last().Args[0])
		}
	}
	for query, field := range map[string]string{
		"resolution_status=open": "resolution_status", "reason=ManualDlq,": "reason", "reason=bad": "reason", "from=now": "from",
		"until=1": "until", "limit=x": "limit", "offset=x": "offset", "limit=1&limit=2": "limit",
	} {
		for _, path := range []string{"/v1/dlq", "/v1/dlq/groups"} {
			if path == "/v1/dlq/groups" && field == "offset" {
				continue
			}
			m := d.ask("GET", path+"?"+query, "").problem(400, "invalid_field", "BAD_REQUEST")
			require.Equal(t, field, m["errors"].([]any)[0].(map[string]any)["field"], query)
		}
	}
	m := d.ask("GET", "/v1/dlq?reason=bad", "").json()
	require.Contains(t, m["detail"], "PermanentFailure")

	a := d.ask("PATCH", "/v1/dlq/entry/"+l.ID.String(), `{"resolution_status":"manually_resolved","resolution_notes":"paid","resolved_by":"ann","metadata":[1.0]}`)
	require.JSONEq(t, `{"success":true,"message":"the investigation is updated","dlq_entry_uuid":"`+l.ID.String()+`"}`, a.Body.String())
	require.Equal(t, []any{l.ID, ports.LetterUpdate{
		Status: deadletter.ManuallyResolved, Notes: "paid", ResolvedBy: "ann", Metadata: []byte(`[1.0]`),
	}}, d.Last().Args)
	require.Equal(t, 200, d.ask("PATCH", "/v1/dlq/entry/"+l.ID.String(), `{"resolution_status":null,"metadata":null}`).Code)
	require.Equal(t, []any{l.ID, ports.LetterUpdate{}}, d.Last().Args)
	m = d.ask("PATCH", "/v1/dlq/entry/"+l.ID.String(), `{"resolution_status":"Open"}`).problem(400, "invalid_field", "BAD_REQUEST")
	require.Equal(t, "resolution_status is none of Pending, ManuallyResolved, PermanentlyFailed, Cancelled", m["detail"])
	d.ask("PATCH", "/v1/dlq/entry/x", `{}`).problem(400, "invalid_uuid", "INVALID_UUID")
	d.ask("PATCH", "/v1/dlq/entry/"+deadletter.ID(tk.ID, 9).String(), `{}`).problem(404, "dead_letter_not_found", "NOT_FOUND")

	a = d.ask("POST", "/v1/dlq/task/"+tk.ID.String(), `{"reason":"odd"}`)
	require.Equal(t, 201, a.Code, a.Body.String())
	require.Equal(t, "ManualDlq", a.json()["dlq_reason"])
	require.Equal(t, doortest.Call{Op: app.FileDeadLetter, Args: []any{tk.ID, "anonymous", "odd"}}, d.Last())
	d.ask("POST", "/v1/dlq/task/"+tk.ID.String(), "").problem(409, "dead_letter_open", "CONFLICT")
}

func TestViewsOfDeadLetters(t *testing.T) {
	t.Parallel()
	d := open(t)
	tk := d.add(task.BlockedByFailures)
	l := d.AddLetter(tk.ID, deadletter.PermanentFailure)
	require.JSONEq(t, `[{"step_uuid":"`+tk.Steps[0].Ref.ID().String()+`","task_uuid":"`+tk.ID.String()+`","step_name":"pay","dispatch":4,
		"attempt":3,"failed_at":"2026-03-01T10:00:00.123456Z","error_type":"declined","message":"no money","fingerprint":"00ff"}]`,
		d.ask("GET", "/v1/dlq/entry/"+l.ID.String()+"/failures?limit=9", "").Body.String())
	require.Equal(t, []any{l.ID, 9}, d.Last().Args)
	require.JSONEq(t, `[{"fingerprint":"00ff","namespace":"orders","name":"order","version":"1.0.0","step_name":"pay","error_type":"declined",
		"message":"no money","entries":2,"failures":3,"first_failed_at":"2026-03-01T10:00:00.123456Z","last_failed_at":"2026-03-01T11:00:00.123456Z"}]`,
		d.ask("GET", "/v1/dlq/groups?resolution_status=pending", "").Body.String())
	require.Equal(t, []any{ports.LetterFilter{Status: deadletter.Pending}, 100}, d.Last().Args)
	require.JSONEq(t, `[{"dlq_reason":"PermanentFailure","total_entries":1,"pending":1,"manually_resolved":0,"permanent_failures":0,"cancelled":0,
		"oldest_entry":"2026-03-01T10:00:00.123456Z","newest_entry":"2026-03-01T10:00:00.123456Z","avg_resolution_time_minutes":1.5}]`,
		d.ask("GET", "/v1/dlq/stats", "").Body.String())
	require.JSONEq(t, `[{"dlq_entry_uuid":"`+l.ID.String()+`","task_uuid":"`+tk.ID.String()+`","original_state":"blocked_by_failures",
		"dlq_reason":"PermanentFailure","dlq_timestamp":"2026-03-01T10:00:00.123456Z","minutes_in_dlq":2.5,"namespace_name":"orders",
		"task_name":"order","current_state":"blocked_by_failures","time_in_state_minutes":3,"priority_score":502.5}]`,
		d.ask("GET", "/v1/dlq/investigation-queue", "").Body.String())
	require.Equal(t, []any{100}, d.Last().Args)
	require.JSONEq(t, `[{"task_uuid":"01000000-0000-7000-8000-000000000000","namespace_name":"orders","task_name":"order",
		"current_state":"waiting_for_retry","time_in_state_minutes":26,"task_age_minutes":60,"staleness_threshold_minutes":30,
		"health_status":"warning","priority":7}]`, d.ask("GET", "/v1/dlq/staleness?limit=2", "").Body.String())
	require.Equal(t, []any{2}, d.Last().Args)
}

func TestResumes(t *testing.T) {
	t.Parallel()
	d := open(t, auth.Key{Key: "k", Subject: "ann"})
	tk := d.add(task.BlockedByFailures)
	l := d.AddLetter(tk.ID, deadletter.MaxRetriesExceeded)
	path := "/v1/dlq/entry/" + l.ID.String() + "/resume"
	a := d.ask("POST", path, `{"action":"skip","steps":[{"name":"pay","action":"reset","inputs":{"a":1.0},"x":1},
		{"name":"ship","action":"resolve","value":[null]}],"reason":"why"}`, "X-API-Key: k")
	require.Equal(t, 200, a.Code, a.Body.String())
	require.Equal(t, tk.ID.String(), a.json()["task_uuid"])
	require.Equal(t, "steps[0].x", mustUnescape(t, a.Header().Get("X-Tasker-Unknown-Fields")))
	require.Equal(t, []any{app.ResumeOne{Entry: l.ID, Action: "skip", By: "ann", Why: "why", Steps: []app.ResumeStep{
		{Name: "pay", Action: "reset", Inputs: []byte(`{"a":1.0}`)}, {Name: "ship", Action: "resolve", Value: []byte(`[null]`)},
	}}}, d.Last().Args)
	d.ask("POST", path, "", "X-API-Key: k").problem(400, "dead_letter_closed", "BAD_REQUEST")
	require.Equal(t, []any{app.ResumeOne{Entry: l.ID, By: "ann"}}, d.Last().Args)
	for body, field := range map[string]string{
		`{"action":1}`: "action", `{"steps":{}}`: "steps", `{"steps":[1]}`: "steps[0]", `{"steps":[{"name":1}]}`: "steps[0].name",
	} {
		m := d.ask("POST", path, body, "X-API-Key: k").problem(400, "invalid_field", "BAD_REQUEST")
		require.Equal(t, field, m["errors"].([]any)[0].(map[string]any)["field"], body)
	}

	bulk := `{"filter":{"reason":["ManualDlq","permanent_failure"],"namespace":"n","name":"m","version":"v","fingerprint":"f",
		"resolution_status":"Pending","from":"2026-03-01T10:00:00Z","until":"2026-03-02T10:00:00Z"},
		"action":"reset","rate":2.5,"canary_percent":1,"stop_percent":50,"limit":9,"reason":"why","by":"bob"`
	a = d.ask("POST", "/v1/dlq/resumes", bulk+`}`, "X-API-Key: k")
	require.Equal(t, 202, a.Code, a.Body.String())
	want := app.ResumeMany{
		Filter: ports.LetterFilter{
			Status: deadletter.Pending, Reasons: []deadletter.Reason{deadletter.ManualDLQ, deadletter.PermanentFailure}, Namespace: "n",
			Name: "m", Version: "v", Fingerprint: "f", From: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
			Until: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
		},
		Action: "reset", By: "bob", Why: "why", Rate: 2.5, CanaryPercent: 1, StopPercent: 50, Limit: 9,
	}
	require.Equal(t, []any{want}, d.Last().Args)
	id := a.json()["resume_uuid"].(string)
	require.JSONEq(t, `{"resume_uuid":"`+id+`","state":"running","request":{"action":"reset"},"by":"bob","reason":"why","matched":1,"resumed":3,
		"refused":2,"failed_again":1,"message":"goes on","created_at":"2026-03-01T10:00:00.123456Z","updated_at":"2026-03-01T10:00:00.123456Z"}`, a.Body.String())
	dry := d.ask("POST", "/v1/dlq/resumes", bulk+`,"dry_run":true}`, "X-API-Key: k")
	require.Equal(t, 200, dry.Code)
	require.Nil(t, dry.json()["resume_uuid"])
	require.Nil(t, dry.json()["created_at"])
	for body, field := range map[string]string{
		`{"filter":[]}`: "filter", `{"filter":{"reason":"x"}}`: "filter.reason", `{"filter":{"reason":["ManualDlq",2]}}`: "filter.reason[1]",
		`{"rate":"1"}`: "rate", `{"limit":1.5}`: "limit", `{"dry_run":"yes"}`: "dry_run", `{"filter":{"from":"x"}}`: "filter.from",
	} {
		m := d.ask("POST", "/v1/dlq/resumes", body, "X-API-Key: k").problem(400, "invalid_field", "BAD_REQUEST")
		require.Equal(t, field, m["errors"].([]any)[0].(map[string]any)["field"], body)
	}
	require.Len(t, d.ask("POST", "/v1/dlq/resumes", `{"filter":{"name":1,"from":2},"rate":"x"}`, "X-API-Key: k").
		problem(400, "invalid_field", "BAD_REQUEST")["errors"], 3, "all of them")

	require.Equal(t, a.json(), d.ask("GET", "/v1/dlq/resumes/"+id, "", "X-API-Key: k").json())
	require.JSONEq(t, "["+a.Body.String()+"]", d.ask("GET", "/v1/dlq/resumes?limit=3", "", "X-API-Key: k").Body.String())
	require.Equal(t, []any{3}, d.Last().Args)
	require.Equal(t, "cancelled", d.ask("DELETE", "/v1/dlq/resumes/"+id+"?reason=enough", "", "X-API-Key: k").json()["state"])
	require.Equal(t, []any{id, "ann", "enough"}, d.Last().Args)
	d.ask("GET", "/v1/dlq/resumes/nothing", "", "X-API-Key: k").problem(404, "resume_not_found", "NOT_FOUND")
}
