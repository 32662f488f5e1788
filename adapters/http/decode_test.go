package http

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/task"
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
		states, err := statesOf([]string{s.String()}, []task.State{task.Pending})
		require.NoError(t, err)
		require.NotEmpty(t, states)
	}
	_, err := statesOf([]string{strings.ToUpper(task.Complete.String())}, nil)
	require.True(t, fault.Is(err, fault.CodeInvalidState))
}
