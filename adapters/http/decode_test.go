package http

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

func FuzzDecodeCreate(f *testing.F) {
	for _, s := range []string{
		`{"name":"a","namespace":"b","version":"1","context":{"k":[1,2.5e3,null,"\u00e9"]}}`, `{"tags":["a"],"priority":-1}`,
		`{"requested_at":"2026-03-01T10:00:00"}`, `{"x":{},"x":1}`, `{"name":"\ud800"}`, "{\"name\":\"\xff\"}", `[`, ``, `{}{}`, ` {} `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		r, unknown, err := decodeCreate(body)
		require.Equal(t, before, string(body), "the body is not changed")
		if err != nil {
			known := fault.Of(err)
			require.Contains(t, []fault.Code{fault.CodeMalformed, fault.CodeInvalidField}, known.Code, "%s", err)
			require.True(t, utf8.ValidString(known.Message))
			return
		}
		require.True(t, json.Valid(body))
		for _, text := range append([]string{r.Name, r.Reason, r.IdempotencyKey}, r.Tags...) {
			require.True(t, utf8.ValidString(text))
			require.NotContains(t, text, "\x00")
		}
		if r.Context != nil {
			require.Contains(t, before, string(r.Context), "documents pass as they are")
		}
		for _, c := range unknownNames(unknown) {
			require.True(t, ' ' <= c && c <= '~')
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor{before: ident.TaskID{1}, page: 2, total: 7, filter: 3}.String(), uint32(3))
	f.Add("AAAA", uint32(0))
	f.Fuzz(func(t *testing.T, text string, filter uint32) {
		c, err := parseCursor(text, filter)
		if err != nil {
			require.True(t, fault.Is(err, fault.CodeInvalidCursor))
			return
		}
		require.Equal(t, text, c.String())
		require.Equal(t, filter, c.filter)
		require.GreaterOrEqual(t, c.page, uint32(2))
		require.GreaterOrEqual(t, int64(c.total), int64(0))
	})
}

func TestCursorsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := cursor{
			page: rapid.Uint32Min(2).Draw(t, "page"), total: rapid.Uint64Max(1<<62).Draw(t, "total"),
			filter: rapid.Uint32().Draw(t, "filter"),
		}
		copy(c.before[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "before"))
		got, err := parseCursor(c.String(), c.filter)
		require.NoError(t, err)
		require.Equal(t, c, got)
	})
	a := filterHash(ports.TaskFilter{Namespace: "a", States: []task.State{task.Error, task.Complete}})
	require.Equal(t, a, filterHash(ports.TaskFilter{Namespace: "a", States: []task.State{task.Complete, task.Error}}))
	require.NotEqual(t, a, filterHash(ports.TaskFilter{Initiator: "a", States: []task.State{task.Complete, task.Error}}))
}

func TestDocumentsReachTheCoreAsTheyWere(t *testing.T) {
	t.Parallel()
	value := rapid.Deferred(func() *rapid.Generator[any] { return jsonValue(3) })
	rapid.Check(t, func(t *rapid.T) {
		doc, err := json.Marshal(map[string]any{"v": value.Draw(t, "v")})
		require.NoError(t, err)
		space := rapid.StringMatching(`[ \n\t\r]{0,3}`)
		body := space.Draw(t, "a") + `{"context"` + space.Draw(t, "b") + `:` + space.Draw(t, "c") + string(doc) + `,"name":"n"}` + space.Draw(t, "d")
		r, unknown, err := decodeCreate([]byte(body))
		require.NoError(t, err)
		require.Empty(t, unknown)
		require.Equal(t, string(doc), string(r.Context))
	})
}

func jsonValue(depth int) *rapid.Generator[any] {
	scalars := []*rapid.Generator[any]{
		rapid.String().AsAny(), rapid.Float64Range(-1e9, 1e9).AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil),
	}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	inner := jsonValue(depth - 1)
	return rapid.OneOf(append(scalars, rapid.SliceOfN(inner, 0, 3).AsAny(), rapid.MapOfN(rapid.String(), inner, 0, 3).AsAny())...)
}

func TestDecimalsShowTheirPoint(t *testing.T) {
	t.Parallel()
	for n, want := range map[decimal]string{0: "0.0", 100: "100.0", 33.33: "33.33", -2: "-2.0"} {
		raw, err := json.Marshal(n)
		require.NoError(t, err)
		require.Equal(t, want, string(raw))
	}
}

func TestStatusesOfTheContractAreDocumented(t *testing.T) {
	t.Parallel()
	for _, s := range task.States() {
		states, err := statesOf(s.String())
		require.NoError(t, err)
		require.NotEmpty(t, states)
	}
	_, err := statesOf(strings.ToUpper(task.Complete.String()))
	require.True(t, fault.Is(err, fault.CodeInvalidState))
}
