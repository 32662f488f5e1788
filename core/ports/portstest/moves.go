package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// due returns what is due, which here is steps alone.
func (w *world) due(t *testing.T, limit int) ([]plan.Wake, time.Duration, error) {
	t.Helper()
	d, err := w.Store.Due(t.Context(), limit, 5*time.Second)
	require.Empty(t, d.Endings)
	require.LessOrEqual(t, d.Overdue, len(d.Wakes))
	return d.Wakes, d.Next, err
}

func dueRetries(t *testing.T, w *world) {
	due, next, err := w.due(t, 9)
	require.NoError(t, err)
	require.Empty(t, due)
	require.Negative(t, next, "nothing waits")

	id := w.start(t, "a", "b", "c")
	at := func(no int32) plan.Wake {
		return plan.Wake{Ref: ident.StepRef{Task: id, No: no}, Dispatch: 1, Cause: plan.RetryDue}
	}
	// Not in the order of their numbers: b waits longest.
	for _, wait := range []struct {
		handler string
		after   time.Duration
	}{{"b", 10 * time.Second}, {"c", 30 * time.Second}, {"a", 50 * time.Second}} {
		r := failure(w.one(t, wait.handler), true)
		r.Failure.RetryAfter = wait.after
		w.report(t, ports.ClaimRequest{}, r)
	}
	due, next, err = w.due(t, 9)
	require.NoError(t, err)
	require.Empty(t, due)
	require.Greater(t, next, time.Duration(0))
	require.LessOrEqual(t, next, 10*time.Second)

	w.Shift(30 * time.Second)
	due, next, err = w.due(t, 9)
	require.NoError(t, err)
	require.Equal(t, []plan.Wake{at(2), at(3)}, due)
	require.Greater(t, next, time.Duration(0))
	require.LessOrEqual(t, next, 20*time.Second)
	due, next, err = w.due(t, 1)
	require.NoError(t, err)
	require.Equal(t, []plan.Wake{at(2)}, due)
	require.Zero(t, next, "there may be more")

	w.wake(t, at(2), at(2), plan.Wake{Ref: at(3).Ref, Dispatch: 7, Cause: plan.RetryDue})
	require.Equal(t, "waiting_for_retry enqueued waiting_for_retry", w.states(t, id))
	due, _, err = w.due(t, 9)
	require.NoError(t, err)
	require.Equal(t, []plan.Wake{at(3)}, due)
	b := w.one(t, "b")
	require.Equal(t, int32(2), b.Dispatch)
	require.Equal(t, int32(2), b.Attempt)

	w.Shift(time.Hour)
	w.wake(t, at(1), at(3))
	due, next, err = w.due(t, 9)
	require.NoError(t, err)
	require.Empty(t, due)
	require.Negative(t, next)
}

func lostLeases(t *testing.T, w *world) {
	id := w.start(t, "a", "b", "c<b")
	w.one(t, "a")
	other, die := w.Another(t)
	reply, err := other.Claim(t.Context(), ask(1, "b"))
	require.NoError(t, err)
	require.Len(t, reply.Steps, 1)
	lost, err := w.Store.LostLeases(t.Context(), 9)
	require.NoError(t, err)
	require.Empty(t, lost, "both servers live")

	die()
	lost, err = w.Store.LostLeases(t.Context(), 9)
	require.NoError(t, err)
	require.Len(t, lost, 1)
	require.NotEmpty(t, lost[0].Why)
	lost[0].Why = ""
	require.Equal(t, []plan.Wake{{Ref: ident.StepRef{Task: id, No: 2}, Dispatch: 1, Cause: plan.LeaseLost}}, lost)
	w.wake(t, lost...)
	lost, err = w.Store.LostLeases(t.Context(), 9)
	require.NoError(t, err)
	require.Empty(t, lost)

	require.Equal(t, "in_progress enqueued pending", w.states(t, id))
	verdicts, _ := w.report(t, ports.ClaimRequest{}, success(reply.Steps[0], `1`))
	require.Equal(t, []step.Verdict{step.Stale}, verdicts, "the dead server's worker comes too late")
	b := w.one(t, "b")
	require.Equal(t, int32(2), b.Dispatch)
	require.Equal(t, int32(1), b.Attempt, "a lost lease takes no attempt")
	w.finish(t, b, `1`)
	require.Equal(t, "in_progress complete enqueued", w.states(t, id))
}

func cancelAll(t *testing.T, w *world) {
	id := w.start(t, "done", "enqueued", "running", "waiting", "pending<running", "failed")
	w.finish(t, w.one(t, "done"), `1`)
	running := w.one(t, "running")
	w.report(t, ports.ClaimRequest{}, failure(w.one(t, "waiting"), true), failure(w.one(t, "failed"), false))
	require.Equal(t, "complete enqueued in_progress waiting_for_retry pending error", w.states(t, id))

	require.Equal(t, []plan.Refusal{{}, {Code: plan.Finished, State: task.Cancelled}}, w.cancel(t, id, id))
	require.Equal(t, "complete cancelled cancelled cancelled cancelled cancelled", w.states(t, id))
	got, steps := w.read(t, id)
	require.Equal(t, task.Cancelled, got.State)
	require.Equal(t, task.Counters{Total: 6}, got.Counters)
	require.False(t, got.CompletedAt.IsZero())
	require.JSONEq(t, `1`, string(steps[0].Value))
	require.False(t, steps[2].CompletedAt.IsZero())
	require.True(t, steps[3].NextRetryAt.IsZero())

	due, next, err := w.due(t, 9)
	require.NoError(t, err)
	require.Empty(t, due)
	require.Negative(t, next)
	require.Empty(t, w.claim(t, 9, "enqueued").Steps)
	verdicts, _ := w.report(t, ports.ClaimRequest{}, success(running, `1`))
	require.Equal(t, []step.Verdict{step.Stale}, verdicts)
	require.Equal(t, plan.Finished, w.cancel(t, id)[0].Code)
	again, _ := w.read(t, id)
	require.Equal(t, got, again)
}
