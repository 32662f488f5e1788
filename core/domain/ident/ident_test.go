package ident_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/ident"
)

const text = "0190b5a0-7c3e-7abc-8def-0123456789ab"

func TestParseTakesTheUsualSpellings(t *testing.T) {
	t.Parallel()
	for _, spelling := range []string{
		text, strings.ToUpper(text), strings.ReplaceAll(text, "-", ""), "{" + text + "}", "urn:uuid:" + text,
	} {
		id, err := ident.ParseTask(spelling)
		require.NoError(t, err, spelling)
		require.Equal(t, text, id.String())
		stepID, err := ident.ParseStep(spelling)
		require.NoError(t, err, spelling)
		require.Equal(t, text, stepID.String())
	}
}

func TestParseRefusesWhatIsNoUUID(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{
		"", "0", "null", text[1:], text + "0", strings.Replace(text, "a", "g", 1), strings.ReplaceAll(text, "-", "_"),
		" " + text[1:], "urn:uuid:", "{}", "\x00",
	} {
		_, err := ident.ParseTask(wrong)
		require.ErrorIs(t, err, ident.ErrMalformed, "%q", wrong)
	}
}

func TestTextIsJSON(t *testing.T) {
	t.Parallel()
	id, err := ident.ParseTask(text)
	require.NoError(t, err)
	raw, err := json.Marshal(map[string]ident.TaskID{"id": id})
	require.NoError(t, err)
	require.Equal(t, `{"id":"`+text+`"}`, string(raw))
	var back map[string]ident.TaskID
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, id, back["id"])
	require.ErrorIs(t, json.Unmarshal([]byte(`{"id":"no"}`), &back), ident.ErrMalformed)
}

func TestZeroNamesNothing(t *testing.T) {
	t.Parallel()
	require.True(t, ident.TaskID{}.IsZero())
	require.False(t, ident.TaskID{15: 1}.IsZero())
}

func TestPublicIDsOfStepsStandForTaskAndNumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid")
		no := rapid.Int32Range(1, ident.MaxSteps).Draw(t, "no")
		id := ident.NewTaskID(uuid.UUID(raw))
		require.Equal(t, id, ident.NewTaskID(uuid.UUID(id)), "the bits are cleared once")

		ref := ident.StepRef{Task: id, No: no}
		public := ref.ID()
		require.Equal(t, ref, ident.Ref(public))
		require.NotEqual(t, [16]byte(id), [16]byte(public), "no step has the id of its task")

		parsed, err := ident.ParseStep(public.String())
		require.NoError(t, err)
		require.Equal(t, public, parsed)
	})
}

func TestTaskIDsKeepTheirTimeAndVersion(t *testing.T) {
	t.Parallel()
	u := uuid.MustParse("0190b5a0-7c3e-7abc-8def-0123456fffff")
	require.Equal(t, "0190b5a0-7c3e-7abc-8def-012345600000", ident.NewTaskID(u).String())
	require.Equal(t, "0190b5a0-7c3e-7abc-8def-012345600000/7", ident.StepRef{Task: ident.NewTaskID(u), No: 7}.String())
}
