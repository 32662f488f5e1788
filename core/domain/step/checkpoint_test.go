package step_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/step"
)

func TestCheckpointIsTheContracts(t *testing.T) {
	t.Parallel()
	var none *step.Checkpoint
	first, err := none.Advance(json.RawMessage(`{"row":7}`), nil, 7, noon)
	require.NoError(t, err)
	second, err := first.Advance(json.RawMessage(`{"row":9}`), json.RawMessage(`{"sum":3}`), 9, noon.Add(time.Second))
	require.NoError(t, err)
	raw, err := json.Marshal(second)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"cursor": {"row": 9}, "items_processed": 9, "timestamp": "2026-11-23T12:00:01Z",
		"accumulated_results": {"sum": 3},
		"history": [
			{"cursor": {"row": 7}, "timestamp": "2026-11-23T12:00:00Z"},
			{"cursor": {"row": 9}, "timestamp": "2026-11-23T12:00:01Z"}
		]}`, string(raw))

	third, err := second.Advance(nil, nil, 9, noon)
	require.NoError(t, err)
	require.Nil(t, third.Accumulated, "it replaces what was there")
	require.JSONEq(t, "null", string(third.Cursor))
}

func TestParseCheckpoint(t *testing.T) {
	t.Parallel()
	for _, none := range []string{"", "null"} {
		c, err := step.ParseCheckpoint([]byte(none))
		require.NoError(t, err)
		require.Nil(t, c)
	}
	for _, wrong := range []string{"{", "7", `{"timestamp":"noon"}`, `{"items_processed":"1"}`} {
		_, err := step.ParseCheckpoint([]byte(wrong))
		require.True(t, fault.Is(err, fault.CodeMalformed), "%s: %v", wrong, err)
	}
}

func TestAdvanceRefuses(t *testing.T) {
	t.Parallel()
	seven := &step.Checkpoint{Cursor: json.RawMessage("7"), ItemsProcessed: 7}
	large := json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`)
	deep := json.RawMessage(strings.Repeat("[", 65) + strings.Repeat("]", 65))
	for name, c := range map[string]struct {
		from                *step.Checkpoint
		cursor, accumulated json.RawMessage
		items               int64
		code                fault.Code
		field               string
	}{
		"items that go down":       {seven, json.RawMessage("6"), nil, 6, fault.CodeInvalidField, "items_processed"},
		"less than no items":       {nil, json.RawMessage("6"), nil, -1, fault.CodeInvalidField, "items_processed"},
		"a cursor that is no JSON": {seven, json.RawMessage("{"), nil, 8, fault.CodeMalformed, "cursor"},
		"an empty cursor":          {seven, json.RawMessage(""), nil, 8, fault.CodeMalformed, "cursor"},
		"a large cursor":           {seven, large[:step.MaxCursorBytes+1], nil, 8, fault.CodePayloadTooLarge, "cursor"},
		"a deep cursor":            {seven, deep, nil, 8, "", "cursor"},
		"large results":            {seven, nil, large, 8, fault.CodePayloadTooLarge, "accumulated_results"},
		"results with NUL":         {seven, nil, json.RawMessage(`"\u0000"`), 8, "", "accumulated_results"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.from.Advance(c.cursor, c.accumulated, c.items, noon)
			require.Error(t, err)
			f := fault.Of(err)
			require.True(t, strings.HasPrefix(f.Field, c.field), "it blames %s", f.Field)
			if c.code != "" {
				require.Equal(t, c.code, f.Code)
			}
		})
	}
}

func TestCheckpointsKeepWhatTheyAreTold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var last *step.Checkpoint
		var told []string
		if n := rapid.IntRange(0, step.LongestHistory).Draw(t, "earlier"); n > 0 {
			last = &step.Checkpoint{Cursor: json.RawMessage("0")}
			for range n {
				last.History = append(last.History, step.Mark{Cursor: last.Cursor, At: noon})
				told = append(told, "0")
			}
		}
		for i := range rapid.IntRange(1, 8).Draw(t, "saves") {
			cursor := json.RawMessage(fmt.Sprintf(`{"n":%d,"s":"<&>"}`, i))
			var accumulated json.RawMessage
			if rapid.Bool().Draw(t, "accumulates") {
				accumulated = json.RawMessage(`[1,2]`)
			}
			items := rapid.Int64Range(0, 9).Draw(t, "more")
			var before string
			if last != nil {
				items += last.ItemsProcessed
				raw, err := json.Marshal(last)
				require.NoError(t, err)
				before = string(raw)
			}
			next, err := last.Advance(cursor, accumulated, items, noon.Add(time.Duration(i)*time.Millisecond))
			require.NoError(t, err)
			if last != nil {
				raw, err := json.Marshal(last)
				require.NoError(t, err)
				require.Equal(t, before, string(raw), "the one before stays as it was")
				require.GreaterOrEqual(t, next.ItemsProcessed, last.ItemsProcessed)
			}
			told = append(told, string(cursor))

			raw, err := json.Marshal(next)
			require.NoError(t, err)
			last, err = step.ParseCheckpoint(raw)
			require.NoError(t, err)
			again, err := json.Marshal(last)
			require.NoError(t, err)
			require.Equal(t, string(raw), string(again))
			require.Equal(t, next.At, last.At)

			require.Len(t, next.History, min(len(told), step.LongestHistory))
			for j, m := range next.History {
				require.JSONEq(t, told[len(told)-len(next.History)+j], string(m.Cursor))
			}
		}
	})
}

func TestCheckpointsShareNoMemory(t *testing.T) {
	t.Parallel()
	cursor, accumulated := json.RawMessage("1"), json.RawMessage("2")
	var none *step.Checkpoint
	c, err := none.Advance(cursor, accumulated, 1, noon)
	require.NoError(t, err)
	cursor[0], accumulated[0] = '8', '9'
	require.Equal(t, "1", string(c.Cursor))
	require.Equal(t, "2", string(c.Accumulated))
	for range 4 {
		c, err = c.Advance(json.RawMessage("1"), nil, 1, noon)
		require.NoError(t, err)
	}
	a, err := c.Advance(json.RawMessage("2"), nil, 1, noon)
	require.NoError(t, err)
	b, err := c.Advance(json.RawMessage("3"), nil, 1, noon)
	require.NoError(t, err)
	require.Equal(t, "2", string(a.History[5].Cursor))
	require.Equal(t, "3", string(b.History[5].Cursor))
}
