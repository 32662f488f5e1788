package http_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	httpapi "github.com/tasker-go/tasker/adapters/http"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/test/parity/doortest"
)

func mustUnescape(t *testing.T, s string) string {
	t.Helper()
	out, err := url.QueryUnescape(s)
	require.NoError(t, err)
	return out
}

// What is written by hand is what the types document: nothing more, nothing less.
func TestExplain(t *testing.T) {
	t.Parallel()
	d := open(t)
	tk := d.add(task.StepsInProcess)
	a := d.ask("GET", "/v1/tasks/"+tk.ID.String()+"/explain", "")
	require.Equal(t, 200, a.Code, a.Body.String())
	require.Equal(t, []string{"application/json"}, a.Header().Values("Content-Type"))
	in := json.NewDecoder(bytes.NewReader(a.Body.Bytes()))
	in.DisallowUnknownFields()
	var e httpapi.ExplanationResponse
	require.NoError(t, in.Decode(&e))
	again, err := json.Marshal(e)
	require.NoError(t, err)
	require.JSONEq(t, string(again), a.Body.String())

	known, err := d.ExplainTask(t.Context(), tk.ID)
	require.NoError(t, err)
	require.Equal(t, known.Sentence, e.Sentence)
	require.Equal(t, known.Unblock, e.Unblock)
	require.Len(t, e.Steps, 4)
	require.Equal(t, "max_retries_exceeded", e.DeadLetter.Reason)
	require.Len(t, e.CriticalPath, 2)
	uuid := func(no int32) string { return ident.StepRef{Task: tk.ID, No: no}.ID().String() }
	for i, s := range e.Steps {
		want := known.Steps[i]
		require.Equal(t, uuid(want.No), s.StepUUID)
		require.Equal(t, want.Name, s.Name)
		require.Equal(t, want.State.String(), s.CurrentState)
		require.Equal(t, string(want.Code), s.Code)
		require.Equal(t, want.Sentence, s.Sentence)
		require.Equal(t, want.Unblock, s.Unblock)
		require.Len(t, s.Also, len(want.Also))
		require.Len(t, s.Actions, len(want.Actions))
		require.Len(t, s.Instead, len(want.Instead))
		require.Len(t, s.WaitingFor, len(want.WaitingFor))
		require.Equal(t, want.Handler, s.Handler)
	}
	pay, pick, ship, bill := e.Steps[0], e.Steps[1], e.Steps[2], e.Steps[3]
	require.Equal(t, "failed", pay.Code)
	require.Equal(t, "declined", pay.LastErrorType)
	require.Equal(t, "no\nmoney", pay.LastError)
	require.NotNil(t, pay.DeadLetteredAt)
	require.EqualValues(t, 3, pay.Attempt)
	require.Equal(t, "server-1", pick.LeaseHolder)
	require.Equal(t, doortest.Epoch.Add(time.Minute), *pick.LeaseUntil)
	require.Equal(t, []httpapi.WhyStep{{StepUUID: uuid(1), Name: "pay"}, {StepUUID: uuid(2), Name: "pick"}}, ship.WaitingFor)
	require.Equal(t, doortest.Epoch.Add(time.Hour), *bill.RetryAt)
	require.Contains(t, fmt.Sprint(bill.Also), "paused")
	require.Equal(t, "stock\ttaking \"now\"", bill.Pauses[0].Reason)

	d.ask("GET", "/v1/tasks/0d9a5e5c-26a5-4a6a-9c0c-1f9c4a400000/explain", "").problem(404, "task_not_found", "NOT_FOUND")
	d.ask("GET", "/v1/tasks/x/explain", "").problem(400, "invalid_uuid", "INVALID_UUID")
}

// large is an application whose tasks have very many steps.
type large struct {
	*fake
	explanation readiness.Explanation
}

func (l large) ExplainTask(context.Context, ident.TaskID) (readiness.Explanation, error) {
	return l.explanation, nil
}

// explain10k explains a task of 10,000 steps in a hundred layers.
func explain10k() readiness.Explanation {
	f := readiness.Facts{Now: doortest.Epoch, Task: readiness.TaskFacts{State: task.StepsInProcess, Counters: task.Counters{Total: 10_000, Active: 100}}}
	for no := int32(1); no <= 10_000; no++ {
		s := readiness.StepFacts{
			No: no, Name: fmt.Sprintf("reserve_stock_%d", no), State: step.Enqueued, MaxAttempts: 3, Retryable: true, Handler: "reserve_stock",
		}
		if no > 100 {
			s.State, s.Parents, s.OpenParents = step.Pending, []int32{no - 100, (no-1)/100*100 - 50}, 2
		}
		f.Steps = append(f.Steps, s)
	}
	return readiness.Explain(&f)
}

// sink takes an answer, as a connection would.
type sink struct {
	header http.Header
	size   int64
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Write(b []byte) (int, error) {
	s.size += int64(len(b))
	return len(b), nil
}

func BenchmarkExplain(b *testing.B) {
	d := openWith(b, large{newFake(), explain10k()})
	path := "/v1/tasks/" + ident.TaskID{6: 0x70, 8: 0x80}.String() + "/explain"
	require.True(b, json.Valid(d.ask("GET", path, "").Body.Bytes()))
	for b.Loop() {
		w := &sink{header: http.Header{}}
		d.handler.ServeHTTP(w, d.request("GET", path, nil))
		b.SetBytes(w.size)
	}
}
