package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/worker"
)

type cursor struct{ Row int }

func permanent(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	e, ok := errors.AsType[*worker.Error](err)
	require.True(t, ok, "%v", err)
	require.True(t, e.Permanent, "%v", err)
}

func TestACheckpointReachesTheNextAttempt(t *testing.T) {
	t.Parallel()
	var stored json.RawMessage
	save := func(_ context.Context, c json.RawMessage) error {
		stored = c
		return nil
	}
	s := worker.NewStep(worker.Step{Attempt: 1}, worker.Inputs{Save: save})
	_, ok := s.Checkpoint()
	require.False(t, ok)
	began := time.Now()
	require.NoError(t, s.SaveCheckpoint(t.Context(), cursor{Row: 7}, 7, map[string]int{"sum": 3}))
	require.NoError(t, s.SaveCheckpoint(t.Context(), cursor{Row: 9}, 9, json.RawMessage(`{"sum":4}`)))

	for name, step := range map[string]*worker.Step{
		"same attempt": s,
		"next attempt": worker.NewStep(worker.Step{Attempt: 2}, worker.Inputs{Checkpoint: stored}),
	} {
		p, ok := step.Checkpoint()
		require.True(t, ok, name)
		require.EqualValues(t, 9, p.ItemsProcessed, name)
		require.WithinRange(t, p.At, began.Add(-time.Second), time.Now().Add(time.Second))
		var at cursor
		require.NoError(t, p.Cursor(&at))
		require.Equal(t, cursor{Row: 9}, at, name)
		var sums struct{ Sum int }
		require.NoError(t, p.Accumulated(&sums))
		require.Equal(t, 4, sums.Sum, name)
		permanent(t, p.Cursor(new(string)))
		permanent(t, p.Accumulated(new(string)))
	}

	var doc struct {
		History []struct{ Cursor cursor } `json:"history"`
	}
	require.NoError(t, json.Unmarshal(stored, &doc))
	require.Len(t, doc.History, 2)
	require.Equal(t, 7, doc.History[0].Cursor.Row)
}

func TestNothingAccumulatedLeavesTheValueAsItIs(t *testing.T) {
	t.Parallel()
	s := worker.NewStep(worker.Step{}, worker.Inputs{})
	require.NoError(t, s.SaveCheckpoint(t.Context(), 1, 1, []int{1}))
	require.NoError(t, s.SaveCheckpoint(t.Context(), 2, 2, nil))
	p, ok := s.Checkpoint()
	require.True(t, ok)
	sum := 5
	require.NoError(t, p.Accumulated(&sum))
	require.Equal(t, 5, sum)
}

func TestACheckpointThatIsNotSavedDoesNotCount(t *testing.T) {
	t.Parallel()
	var failure error
	s := worker.NewStep(worker.Step{}, worker.Inputs{Save: func(context.Context, json.RawMessage) error { return failure }})
	require.NoError(t, s.SaveCheckpoint(t.Context(), 1, 1, nil))
	for _, failure = range []error{worker.ErrLost, errors.New("no connection")} {
		err := s.SaveCheckpoint(t.Context(), 2, 2, nil)
		require.ErrorIs(t, err, failure)
		_, said := errors.AsType[*worker.Error](err)
		require.False(t, said, "it may be retried")
	}
	p, ok := s.Checkpoint()
	require.True(t, ok)
	require.EqualValues(t, 1, p.ItemsProcessed)
	failure = nil
	require.NoError(t, s.SaveCheckpoint(t.Context(), 3, 1, nil), "fewer than what was not saved")
}

func TestCheckpointsThatCannotBeKept(t *testing.T) {
	t.Parallel()
	s := worker.NewStep(worker.Step{}, worker.Inputs{})
	require.NoError(t, s.SaveCheckpoint(t.Context(), 5, 5, nil))
	for name, save := range map[string]func() error{
		"items that go down":     func() error { return s.SaveCheckpoint(t.Context(), 4, 4, nil) },
		"a cursor without JSON":  func() error { return s.SaveCheckpoint(t.Context(), make(chan int), 6, nil) },
		"a cursor of bad JSON":   func() error { return s.SaveCheckpoint(t.Context(), json.RawMessage("{"), 6, nil) },
		"a large cursor":         func() error { return s.SaveCheckpoint(t.Context(), strings.Repeat("x", 5000), 6, nil) },
		"results without JSON":   func() error { return s.SaveCheckpoint(t.Context(), 6, 6, func() {}) },
		"results that are large": func() error { return s.SaveCheckpoint(t.Context(), 6, 6, strings.Repeat("x", 1<<20)) },
	} {
		t.Run(name, func(t *testing.T) { permanent(t, save()) })
	}
	p, _ := s.Checkpoint()
	require.EqualValues(t, 5, p.ItemsProcessed)
}

func TestAnUnreadableCheckpointIsNotNone(t *testing.T) {
	t.Parallel()
	s := worker.NewStep(worker.Step{}, worker.Inputs{Checkpoint: json.RawMessage(`{"items_processed":"many"}`)})
	p, ok := s.Checkpoint()
	require.True(t, ok)
	permanent(t, p.Cursor(new(int)))
	permanent(t, p.Accumulated(new(int)))
	permanent(t, s.SaveCheckpoint(t.Context(), 1, 1, nil))
}
