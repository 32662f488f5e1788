package portstest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func (w *world) moves(t *testing.T, of ...ports.MovesSince) map[ident.TaskID]ports.Moves {
	t.Helper()
	got, err := w.Store.Moves(t.Context(), of)
	require.NoError(t, err)
	return got
}

func historyOfMany(t *testing.T, w *world) {
	id := w.start(t, "a", "b<a")
	other := w.start(t, "a", "b<a")
	claimed := w.claim(t, 1, "a").Steps
	require.Len(t, claimed, 1)
	before := w.moves(t, ports.MovesSince{Task: id})[id]
	w.finish(t, claimed[0], `1`)
	b := w.one(t, "b")
	w.report(t, ports.ClaimRequest{}, failure(b, false))

	all := w.moves(t, ports.MovesSince{Task: id}, ports.MovesSince{Task: other}, ports.MovesSince{Task: newTask(t)})
	require.Len(t, all, 2, "unknown tasks are left out")
	got := all[id]
	require.Equal(t, map[int32]string{1: "a", 2: "b"}, got.Names)
	require.Equal(t, task.BlockedByFailures, got.State)
	require.Equal(t, task.Counters{Total: 2, Open: 1, Failed: 1}, got.Counters)
	require.False(t, got.CreatedAt.IsZero())
	var words []string
	for i, m := range got.Moves {
		require.Equal(t, time.UTC, m.At.Location())
		if i > 0 {
			require.False(t, m.At.Before(got.Moves[i-1].At), "in the order of their times")
		}
		if m.No == 0 {
			require.Zero(t, m.Step)
			words = append(words, m.State.String())
			continue
		}
		require.Zero(t, m.State)
		words = append(words, fmt.Sprintf("%d %s %d/%d %s", m.No, m.Step, m.Dispatch, m.Attempt, m.Error))
	}
	require.ElementsMatch(t, []string{
		"steps_in_process", "1 enqueued 1/0 ", "1 in_progress 1/1 ", "1 complete 1/1 ", "2 enqueued 1/0 ", "2 in_progress 1/1 ",
		"2 error 1/1 " + got.Moves[len(got.Moves)-1].Error + got.Moves[len(got.Moves)-2].Error, "blocked_by_failures",
	}, words)
	at := claimed[0].At
	require.False(t, at.IsZero())
	require.True(t, at.Equal(before.Moves[len(before.Moves)-1].At), "a claim tells the time that its row has")

	// From a time on, with the names of what moved.
	last := got.Moves[len(got.Moves)-1].At
	part := w.moves(t, ports.MovesSince{Task: id, At: last})[id]
	require.Equal(t, map[int32]string{2: "b"}, part.Names)
	require.Len(t, part.Moves, 2, "what happened at that very time is in it")
	require.Equal(t, got.Counters, part.Counters)
	part = w.moves(t, ports.MovesSince{Task: id, At: last.Add(time.Microsecond)})[id]
	require.Empty(t, part.Moves)
	require.Equal(t, got.State, part.State)
	require.Empty(t, w.moves(t))
}

func bulkKept(t *testing.T, l *life) {
	b := ports.BulkOperation{
		ID: uuid.New(), Action: "retry", Request: json.RawMessage(`{"filter": {}}`), By: "ann", Reason: "fixed", Within: []string{"shop", "bank"},
		State: ports.BulkRunning, Matched: 7, AtLeast: true,
	}
	require.NoError(t, l.store.BeginBulk(t.Context(), b))
	got, err := l.store.Bulk(t.Context(), b.ID)
	require.NoError(t, err)
	require.False(t, got.CreatedAt.IsZero())
	want := b
	want.Request, want.CreatedAt, want.UpdatedAt = got.Request, got.CreatedAt, got.UpdatedAt
	require.Equal(t, want, got)

	l.Shift(time.Minute)
	behind := got
	got.Done, got.Refused, got.After = 4, 1, newTask(t)
	saved, err := l.store.SaveBulk(t.Context(), got)
	require.NoError(t, err)
	require.True(t, saved)
	behind.State, behind.Message = ports.BulkCancelled, "cancelled by bob"
	saved, err = l.store.SaveBulk(t.Context(), behind)
	require.NoError(t, err)
	require.True(t, saved)
	kept, err := l.store.Bulk(t.Context(), b.ID)
	require.NoError(t, err)
	require.Equal(t, []int{4, 1}, []int{kept.Done, kept.Refused}, "nothing counts backwards")
	require.Equal(t, got.After, kept.After)
	require.Equal(t, "cancelled by bob", kept.Message)
	require.True(t, kept.UpdatedAt.After(kept.CreatedAt))
	got.State = ports.BulkComplete
	saved, err = l.store.SaveBulk(t.Context(), got)
	require.NoError(t, err)
	require.False(t, saved, "what is at its end stays there")

	l.Shift(time.Minute)
	later := ports.BulkOperation{ID: uuid.New(), Action: "cancel", Request: json.RawMessage(`{}`), State: ports.BulkRunning}
	require.NoError(t, l.store.BeginBulk(t.Context(), later))
	for _, c := range []struct {
		within []string
		limit  int
		want   []uuid.UUID
	}{
		{nil, 9, []uuid.UUID{later.ID, b.ID}},
		{nil, 1, []uuid.UUID{later.ID}},
		{[]string{"bank", "shop", "more"}, 9, []uuid.UUID{b.ID}},
		{[]string{"shop"}, 9, nil},
	} {
		list, err := l.store.ListBulk(t.Context(), c.within, c.limit)
		require.NoError(t, err)
		var ids []uuid.UUID
		for _, o := range list {
			ids = append(ids, o.ID)
		}
		require.Equal(t, c.want, ids, c.within)
	}
	_, err = l.store.Bulk(t.Context(), uuid.New())
	require.True(t, fault.Is(err, fault.CodeOperationNotFound), "%v", err)
}
