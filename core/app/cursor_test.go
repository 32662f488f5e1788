package app_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func FuzzCursor(f *testing.F) {
	list := ports.TaskFilter{Namespace: "a"}
	f.Add(app.Cursor{After: ports.TaskMark{ID: ident.TaskID{1}}, Page: 2, Total: 7}.Text(list, ports.TaskPage{}), uint8(0))
	f.Add(app.Cursor{After: ports.TaskMark{ID: ident.TaskID{1}, At: time.UnixMicro(-5)}, Page: 3, Total: -1, AtLeast: true}.
		Text(list, ports.TaskPage{Order: ports.ByUpdate}), uint8(1))
	f.Add("AAAA", uint8(2))
	f.Fuzz(func(t *testing.T, text string, order uint8) {
		p := ports.TaskPage{Order: ports.TaskOrder(order % 3)}
		c, err := app.ParseCursor(text, list, p)
		if err != nil {
			require.True(t, fault.Is(err, fault.CodeInvalidCursor))
			require.NotContains(t, fault.Of(err).Message, text+" ")
			return
		}
		require.Equal(t, text, c.Text(list, p))
		require.GreaterOrEqual(t, c.Page, uint32(2))
		require.GreaterOrEqual(t, c.Total, int64(-1))
		require.False(t, c.After.IsZero())
		require.Equal(t, p.Order == ports.ByCreation, c.After.At.IsZero())
	})
}

func TestCursorsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := app.Cursor{
			Page: rapid.Uint32Min(2).Draw(t, "page"), Total: rapid.Int64Range(-1, 1<<62-1).Draw(t, "total"),
			AtLeast: rapid.Bool().Draw(t, "at least"),
		}
		copy(c.After.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		c.After.ID[15] |= 1
		p := ports.TaskPage{Order: rapid.SampledFrom([]ports.TaskOrder{ports.ByCreation, ports.ByUpdate, ports.ByCompletion}).Draw(t, "order")}
		if p.Order != ports.ByCreation {
			c.After.At = time.UnixMicro(rapid.Int64Range(1, 1<<52).Draw(t, "at")).UTC()
		}
		got, err := app.ParseCursor(c.Text(ports.TaskFilter{}, p), ports.TaskFilter{}, p)
		require.NoError(t, err)
		require.Equal(t, c, got)
	})
}

// Everything that makes another list of it makes the cursor another's.
func TestCursorsBelongToTheirList(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	base := ports.TaskFilter{States: []task.State{task.Error, task.Complete}, Tags: []string{"a", "b"}}
	c := app.Cursor{After: ports.TaskMark{ID: ident.TaskID{1}}, Page: 2}
	text := c.Text(base, ports.TaskPage{Limit: 10, Total: ports.ExactTotal})

	same := ports.TaskFilter{States: []task.State{task.Complete, task.Error}, Tags: []string{"b", "a"}}
	_, err := app.ParseCursor(text, same, ports.TaskPage{Limit: 50})
	require.NoError(t, err, "neither the order of words nor the size of pages matters")

	for name, change := range map[string]func(*ports.TaskFilter){
		"namespace": func(f *ports.TaskFilter) { f.Namespace = "x" }, "name": func(f *ports.TaskFilter) { f.Name = "x" },
		"version": func(f *ports.TaskFilter) { f.Version = "x" }, "initiator": func(f *ports.TaskFilter) { f.Initiator = "x" },
		"source": func(f *ports.TaskFilter) { f.SourceSystem = "x" }, "error": func(f *ports.TaskFilter) { f.Error = "x" },
		"states": func(f *ports.TaskFilter) { f.States = f.States[:1] }, "tags": func(f *ports.TaskFilter) { f.Tags = []string{"a b"} },
		"correlation": func(f *ports.TaskFilter) { f.CorrelationID = uuid.NullUUID{Valid: true} },
		"from":        func(f *ports.TaskFilter) { f.From = at }, "until": func(f *ports.TaskFilter) { f.Until = at },
		"updated from": func(f *ports.TaskFilter) { f.UpdatedFrom = at }, "updated until": func(f *ports.TaskFilter) { f.UpdatedUntil = at },
		"completed from": func(f *ports.TaskFilter) { f.CompletedFrom = at }, "completed until": func(f *ports.TaskFilter) { f.CompletedUntil = at },
	} {
		other := base
		change(&other)
		_, err := app.ParseCursor(text, other, ports.TaskPage{})
		require.True(t, fault.Is(err, fault.CodeInvalidCursor), name)
	}
	for _, p := range []ports.TaskPage{{Ascending: true}, {Order: ports.ByUpdate}, {Order: ports.ByCompletion}} {
		_, err := app.ParseCursor(text, base, p)
		require.True(t, fault.Is(err, fault.CodeInvalidCursor), "%+v", p)
	}
}
