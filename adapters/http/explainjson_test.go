package http

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/ident"
)

func TestStringsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		w := &explanationWriter{}
		w.text(s)
		var got string
		require.NoError(t, json.Unmarshal(w.b, &got), "%s", w.b)
		require.Equal(t, strings.ToValidUTF8(s, "\ufffd"), got)
	})
}

func TestIDsOfStepsAreWrittenAsTheyAre(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var id ident.TaskID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "task"))
		text := ident.StepRef{Task: id}.Task.String()
		w := &explanationWriter{task: id, prefix: text[:len(text)-8]}
		no := rapid.Int32Range(1, ident.MaxSteps).Draw(t, "no")
		w.stepID(no)
		require.Equal(t, `"`+ident.StepRef{Task: id, No: no}.ID().String()+`"`, string(w.b))
	})
}
