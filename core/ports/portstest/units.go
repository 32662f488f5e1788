package portstest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func failedUnit(t *testing.T, w *world) {
	settled := w.start(t, "a")
	w.finish(t, w.one(t, "a"), `1`)
	s := submission(t, w.register(t, workflow(t, namespace, "other", "b")))
	s.Identity = plan.Identity{1}
	claims := []ports.IdentityClaim{{Identity: s.Identity, Task: s.ID}}
	_, err := w.Store.Run(t.Context(), ports.Scope{Identities: claims}, func(snap *plan.Snapshot) (ports.Writes, error) {
		require.Empty(t, snap.Taken)
		d, _, err := plan.AfterSubmissions(snap, []plan.Submission{s}, &w.blueprints)
		// The last write of the unit does not hold: the step is complete.
		d.Steps = append(d.Steps, plan.StepChange{
			Step: plan.Step{Ref: ident.StepRef{Task: settled, No: 1}, State: step.Cancelled, Dispatch: 1}, From: step.InProgress, Live: 1,
		})
		return ports.Writes{Decision: d, Claim: ask(1, "b")}, err
	})
	require.Error(t, err)
	require.False(t, ports.IsOutage(err), "nothing is wrong with the database: %v", err)

	_, _, err = w.Store.Task(t.Context(), s.ID)
	require.True(t, fault.Is(err, fault.CodeTaskNotFound), "%v", err)
	require.Empty(t, w.claim(t, 1, "b").Steps, "no job is left behind")
	require.Equal(t, "complete", w.states(t, settled))
	s.ID = newTask(t)
	became, _ := w.submit(t, ports.ClaimRequest{}, s)
	require.Equal(t, []plan.Submitted{{Created: true}}, became, "the identity is free")
	require.Len(t, w.claim(t, 1, "b").Steps, 1)
}

func errorOfDecide(t *testing.T, w *world) {
	id := w.start(t, "a")
	boom := errors.New("boom")
	_, err := w.Store.Run(t.Context(), ports.Scope{Tasks: []ident.TaskID{id}}, func(*plan.Snapshot) (ports.Writes, error) {
		return ports.Writes{}, boom
	})
	require.ErrorIs(t, err, boom)
	f := fault.New(fault.CodeInvalidField, "no")
	_, err = w.Store.Run(t.Context(), ports.Scope{}, func(*plan.Snapshot) (ports.Writes, error) { return ports.Writes{}, f })
	require.Same(t, f, fault.Of(err))
	require.Equal(t, "enqueued", w.states(t, id))
	require.Len(t, w.claim(t, 1, "a").Steps, 1, "the store goes on")
}

func staleFrom(t *testing.T, w *world) {
	id := w.start(t, "a", "b")
	ref := ident.StepRef{Task: id, No: 1}
	before, steps := w.read(t, id)
	step1 := func(change func(*plan.StepChange)) plan.Decision {
		c := plan.StepChange{
			Step: plan.Step{Ref: ref, Def: 1, State: step.Cancelled, Dispatch: 1}, From: step.Enqueued, Live: 1,
		}
		change(&c)
		return plan.Decision{Steps: []plan.StepChange{c}}
	}
	for name, d := range map[string]plan.Decision{
		"state":           step1(func(c *plan.StepChange) { c.From = step.InProgress }),
		"dispatch":        step1(func(c *plan.StepChange) { c.Live = 2 }),
		"no such step":    step1(func(c *plan.StepChange) { c.Ref.No = 3 }),
		"state of a task": {Tasks: []plan.TaskChange{{Task: plan.Task{ID: id, State: task.Cancelled}, From: task.WaitingForRetry}}},
		"no such task":    {Tasks: []plan.TaskChange{{Task: plan.Task{ID: newTask(t), State: task.Cancelled}, From: task.StepsInProcess}}},
	} {
		// Good and bad together: neither is stored.
		d.Steps = append(d.Steps, plan.StepChange{
			Step: plan.Step{Ref: ident.StepRef{Task: id, No: 2}, Def: 2, State: step.Cancelled, Dispatch: 1}, From: step.Enqueued, Live: 1,
		})
		_, err := w.Store.Run(t.Context(), ports.Scope{Tasks: []ident.TaskID{id}}, func(*plan.Snapshot) (ports.Writes, error) {
			return ports.Writes{Decision: d}, nil
		})
		require.Error(t, err, name)
		require.False(t, ports.IsOutage(err), "%s: %v", name, err)
	}
	after, same := w.read(t, id)
	require.Equal(t, before, after)
	require.Equal(t, steps, same)
}

func neighbourhood(t *testing.T, w *world) {
	id := w.start(t, "a", "b<a", "c<a", "d<b,c", "e")
	numbers := func(scope ports.Scope) (snap *plan.Snapshot) {
		_, err := w.Store.Run(t.Context(), scope, func(s *plan.Snapshot) (ports.Writes, error) {
			snap = s
			return ports.Writes{}, nil
		})
		require.NoError(t, err)
		return snap
	}
	has := func(snap *plan.Snapshot, nos ...int32) {
		t.Helper()
		require.Len(t, snap.Steps, len(nos))
		for _, no := range nos {
			require.Contains(t, snap.Steps, ident.StepRef{Task: id, No: no})
		}
	}
	unknown := newTask(t)
	snap := numbers(ports.Scope{Steps: []ident.StepRef{{Task: id, No: 1}, {Task: id, No: 9}, {Task: unknown, No: 1}}})
	has(snap, 1, 2, 3)
	require.Equal(t, plan.Step{
		Ref: ident.StepRef{Task: id, No: 1}, Def: 1, State: step.Enqueued, Dispatch: 1, Children: []int32{2, 3},
	}, snap.Steps[ident.StepRef{Task: id, No: 1}])
	require.Equal(t, int32(1), snap.Steps[ident.StepRef{Task: id, No: 2}].OpenParents)
	require.Len(t, snap.Tasks, 1)
	got := snap.Tasks[id]
	require.Equal(t, namespace, got.Namespace)
	require.Equal(t, task.StepsInProcess, got.State)
	require.Equal(t, task.Counters{Total: 5, Open: 5, Active: 2}, got.Counters)
	require.NotNil(t, w.definition(got.Template))
	require.False(t, snap.Now.IsZero())
	require.Equal(t, time.UTC, snap.Now.Location())

	has(numbers(ports.Scope{Steps: []ident.StepRef{{Task: id, No: 1}, {Task: id, No: 2}}}), 1, 2, 3, 4)
	has(numbers(ports.Scope{Steps: []ident.StepRef{{Task: id, No: 5}}}), 5)
	has(numbers(ports.Scope{Tasks: []ident.TaskID{id, unknown}}), 1, 2, 3, 4, 5)
	require.Empty(t, numbers(ports.Scope{}).Tasks)

	first := numbers(ports.Scope{}).Now
	w.Shift(time.Hour)
	require.False(t, numbers(ports.Scope{}).Now.Before(first.Add(time.Hour)), "the clock is the database's")
}

func emptyDecision(t *testing.T, w *world) {
	id := w.start(t, "a")
	before, steps := w.read(t, id)
	reply, err := w.Store.Run(t.Context(), ports.Scope{
		Tasks: []ident.TaskID{id}, Identities: []ports.IdentityClaim{{Identity: plan.Identity{7}, Task: newTask(t)}},
	}, func(*plan.Snapshot) (ports.Writes, error) { return ports.Writes{}, nil })
	require.NoError(t, err)
	require.Empty(t, reply.Steps)
	after, same := w.read(t, id)
	require.Equal(t, before, after)
	require.Equal(t, steps, same)

	reply, err = w.Store.Run(t.Context(), ports.Scope{}, func(*plan.Snapshot) (ports.Writes, error) {
		return ports.Writes{Claim: ask(1, "a")}, nil
	})
	require.NoError(t, err)
	require.Len(t, reply.Steps, 1, "a claim may ride on nothing")
	require.Equal(t, "in_progress", w.states(t, id))
}

func readsBack(t *testing.T, w *world) {
	of := w.register(t, workflow(t, namespace, "flow", "a", "b<a"))
	s := submission(t, of)
	s.Context, s.Options = json.RawMessage(`{"n":1}`), json.RawMessage(`{"o":[]}`)
	s.Tags, s.Priority = []string{"x", "y"}, -7
	s.RequestedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.ParentCorrelationID = uuid.NullUUID{UUID: uuid.New(), Valid: true}
	plain := submission(t, of)
	w.submit(t, ports.ClaimRequest{}, s, plain)

	got, steps := w.read(t, s.ID)
	require.JSONEq(t, string(s.Context), string(got.Context))
	require.JSONEq(t, string(s.Options), string(got.Options))
	require.False(t, got.CreatedAt.IsZero())
	require.Equal(t, got.CreatedAt, got.UpdatedAt)
	got.Context, got.Options, got.UpdatedAt = nil, nil, time.Time{}
	require.Equal(t, ports.TaskRecord{
		ID: s.ID, Template: of.ID, Namespace: namespace, Name: "flow", Version: "1.0.0", State: task.StepsInProcess,
		Counters: task.Counters{Total: 2, Open: 2, Active: 1}, CreatedAt: got.CreatedAt, RequestedAt: s.RequestedAt,
		Tags: s.Tags, Initiator: s.Initiator, SourceSystem: s.SourceSystem, Reason: s.Reason, Priority: -7,
		CorrelationID: s.CorrelationID, ParentCorrelationID: s.ParentCorrelationID,
	}, got)
	require.Len(t, steps, 2)
	for i := range steps {
		require.Equal(t, got.CreatedAt, steps[i].CreatedAt)
		steps[i].CreatedAt, steps[i].UpdatedAt = time.Time{}, time.Time{}
		if len(steps[i].Parents) == 0 {
			steps[i].Parents = nil
		}
	}
	require.Equal(t, []ports.StepRecord{
		{Ref: ident.StepRef{Task: s.ID, No: 1}, Def: 1, Name: "a", State: step.Enqueued, MaxAttempts: 3, Dispatch: 1},
		{Ref: ident.StepRef{Task: s.ID, No: 2}, Def: 2, Name: "b", State: step.Pending, MaxAttempts: 3, Parents: []int32{1}, OpenParents: 1},
	}, steps)

	got, _ = w.read(t, plain.ID)
	require.Equal(t, got.CreatedAt, got.RequestedAt, "requested when it was created, unless it says otherwise")
	require.Nil(t, got.Options)
	require.Empty(t, got.Tags)

	claimed := w.claim(t, 2, "a")
	require.Len(t, claimed.Steps, 2)
	for _, c := range claimed.Steps {
		if c.Ref.Task != s.ID {
			continue
		}
		require.JSONEq(t, `{"n":1}`, string(c.Context))
		require.Equal(t, s.CorrelationID, c.CorrelationID)
		require.Equal(t, int32(-7), c.Priority)
		require.Equal(t, "a", c.Name)
		require.Equal(t, of.ID, c.Template)
		require.Equal(t, int32(1), c.Def)
		require.Equal(t, int32(1), c.Attempt)
		require.Equal(t, int32(1), c.Dispatch)
		require.True(t, c.Whole)
		require.Empty(t, c.Parents)
	}
	_, steps = w.read(t, s.ID)
	require.Equal(t, step.InProgress, steps[0].State)
	require.Equal(t, int32(1), steps[0].Attempts)
	require.False(t, steps[0].LastAttemptedAt.IsZero())
}

func twoResults(t *testing.T, w *world) {
	id := w.start(t, "a", "b<a", "c<a", "d<b,c")
	w.finish(t, w.one(t, "a"), `1`)
	b, c := w.one(t, "b"), w.one(t, "c")
	verdicts, _ := w.report(t, ports.ClaimRequest{}, success(b, `2`), success(c, `3`), success(b, `2`))
	require.Equal(t, []step.Verdict{step.Applied, step.Applied, step.Duplicate}, verdicts)
	require.Equal(t, "complete complete complete enqueued", w.states(t, id))
	d := w.one(t, "d")
	require.Equal(t, int32(1), d.Dispatch)
	require.Empty(t, w.claim(t, 9, "d").Steps, "it was enqueued once")
	w.finish(t, d, `4`)
	got, steps := w.read(t, id)
	require.Equal(t, task.Complete, got.State)
	require.Equal(t, task.Counters{Total: 4}, got.Counters)
	require.False(t, got.CompletedAt.IsZero())
	require.False(t, steps[3].CompletedAt.IsZero())
	require.JSONEq(t, `4`, string(steps[3].Value))
	require.Equal(t, int32(5), steps[3].ElapsedMS)
}

func failuresKept(t *testing.T, w *world) {
	id := w.start(t, "a", "b<a")
	verdicts, _ := w.report(t, ports.ClaimRequest{}, failure(w.one(t, "a"), true))
	require.Equal(t, []step.Verdict{step.Applied}, verdicts)
	got, steps := w.read(t, id)
	require.Equal(t, task.WaitingForRetry, got.State)
	require.Equal(t, task.Counters{Total: 2, Open: 2, Retrying: 1}, got.Counters)
	a := steps[0]
	require.Equal(t, step.WaitingForRetry, a.State)
	require.JSONEq(t, `{"message":"it broke","error_type":"handler_error","retryable":true}`, string(a.Failure))
	require.Nil(t, a.Value)
	require.Equal(t, time.Minute, a.NextRetryAt.Sub(a.LastFailureAt))
	require.True(t, a.CompletedAt.IsZero())

	w.wake(t, plan.Wake{Ref: a.Ref, Dispatch: 1, Cause: plan.RetryDue})
	w.report(t, ports.ClaimRequest{}, failure(w.one(t, "a"), false))
	got, steps = w.read(t, id)
	require.Equal(t, task.BlockedByFailures, got.State)
	require.True(t, got.CompletedAt.IsZero())
	require.Equal(t, step.Error, steps[0].State)
	require.Equal(t, int32(2), steps[0].Attempts)
	require.Equal(t, int32(2), steps[0].Dispatch)
	require.True(t, steps[0].NextRetryAt.IsZero())
	require.Equal(t, step.Pending, steps[1].State)
}

func unknownTask(t *testing.T, w *world) {
	id := newTask(t)
	_, _, err := w.Store.Task(t.Context(), id)
	require.True(t, fault.Is(err, fault.CodeTaskNotFound), "%v", err)
	known := w.start(t, "a")
	of, err := w.Store.Namespaces(t.Context(), []ident.TaskID{id, known})
	require.NoError(t, err)
	require.Len(t, of, 1)
	require.NotEmpty(t, of[known])
	states, err := w.Store.States(t.Context(), []ident.TaskID{id, known})
	require.NoError(t, err)
	require.Equal(t, map[ident.TaskID]task.State{known: task.StepsInProcess}, states)
	require.Equal(t, []plan.Refusal{{Code: plan.Unknown}}, w.cancel(t, id))
}
