package portstest

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

func resumeKept(t *testing.T, l *life) {
	r := ports.BulkResume{
		ID: uuid.New(), Request: json.RawMessage(`{"action": "reset"}`), By: "ann", Reason: "fixed", State: ports.ResumeCanary, Matched: 7,
	}
	require.NoError(t, l.store.Begin(t.Context(), r))
	got, err := l.store.Resume(t.Context(), r.ID)
	require.NoError(t, err)
	require.False(t, got.CreatedAt.IsZero())
	require.JSONEq(t, string(r.Request), string(got.Request))
	require.Equal(t, ports.ResumeCanary, got.State)
	require.Equal(t, "ann", got.By)
	require.Equal(t, "fixed", got.Reason)
	require.Equal(t, 7, got.Matched)
	require.True(t, got.After.IsZero())

	l.Shift(time.Minute)
	behind := got
	got.State, got.Resumed, got.Refused, got.FailedAgain, got.After = ports.ResumeRunning, 4, 1, 2, deadletter.ID(newTask(t), 1)
	saved, err := l.store.Save(t.Context(), got)
	require.NoError(t, err)
	require.True(t, saved)
	behind.State, behind.Message = ports.ResumeCancelled, "cancelled by bob"
	saved, err = l.store.Save(t.Context(), behind)
	require.NoError(t, err)
	require.True(t, saved)
	kept, err := l.store.Resume(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, []int{4, 1, 2}, []int{kept.Resumed, kept.Refused, kept.FailedAgain}, "nothing counts backwards")
	require.Equal(t, got.After, kept.After)
	require.Equal(t, "cancelled by bob", kept.Message)
	require.True(t, kept.UpdatedAt.After(kept.CreatedAt))
	got.State = ports.ResumeComplete
	saved, err = l.store.Save(t.Context(), got)
	require.NoError(t, err)
	require.False(t, saved, "what is at its end stays there")

	later := ports.BulkResume{ID: uuid.New(), Request: json.RawMessage(`{}`), State: ports.ResumeRunning}
	require.NoError(t, l.store.Begin(t.Context(), later))
	list, err := l.store.ListResumes(t.Context(), 9)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, later.ID, list[0].ID)
	require.Equal(t, kept, list[1])
	list, err = l.store.ListResumes(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func resumeNext(t *testing.T, l *life) {
	want := map[deadletter.EntryID]ports.LetterKey{}
	for range 5 {
		id := l.ruin(t, "flow", "no", "a")
		want[deadletter.ID(id, 1)] = ports.LetterKey{ID: deadletter.ID(id, 1), Task: id, Ordinal: 1}
	}
	l.cancel(t, l.ruin(t, "flow", "no", "a"))
	l.ruin(t, "other", "no", "a")
	f := ports.LetterFilter{Name: "flow"}
	n, err := l.store.Count(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	var after deadletter.EntryID
	for len(want) > 0 {
		keys, err := l.store.Next(t.Context(), f, after, 2)
		require.NoError(t, err)
		require.NotEmpty(t, keys)
		for _, k := range keys {
			require.Equal(t, 1, slices.Compare(k.ID[:], after[:]))
			require.Equal(t, want[k.ID], k)
			delete(want, k.ID)
			after = k.ID
		}
	}
	keys, err := l.store.Next(t.Context(), f, after, 2)
	require.NoError(t, err)
	require.Empty(t, keys)
}

func resumeOutcome(t *testing.T, l *life) {
	resume := uuid.New()
	var letters []deadletter.EntryID
	var ids []ident.TaskID
	for range 4 {
		id := l.ruin(t, "flow", "no", "a")
		ids, letters = append(ids, id), append(letters, deadletter.ID(id, 1))
	}
	require.NoError(t, l.store.Mark(t.Context(), resume, letters))
	o, err := l.store.Outcome(t.Context(), resume)
	require.NoError(t, err)
	require.Zero(t, o.Resumed, "marked, and still open")
	for _, id := range ids[:3] {
		require.False(t, l.order(t, id, plan.Order{Failed: plan.ResetForRetry, Letter: 1}).Refused())
	}
	require.NoError(t, l.store.Unmark(t.Context(), resume, letters[3:]))
	l.cancel(t, ids[3])
	require.NoError(t, l.store.Mark(t.Context(), uuid.New(), letters), "closed ones stay whose they are")
	l.finish(t, l.one(t, "a"), `1`)
	l.failed(t, l.one(t, "a"), "no")
	o, err = l.store.Outcome(t.Context(), resume)
	require.NoError(t, err)
	require.False(t, o.Now.IsZero())
	require.Equal(t, []int{3, 1, 1}, []int{o.Resumed, o.FailedAgain, o.UnderWay})
}
