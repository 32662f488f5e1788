package scenario_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

func TestScriptsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	parts, err := sections("a comment\n-- script --\n# more\nreset a.b inputs={\"n\": [1, 2]} by=anna why=\"two words\"\n! task_exists create b \"x y\" 7\nhistory a\n  one -> two\n\n  two -> three\n")
	require.NoError(t, err)
	require.Len(t, parts, 1)
	got, err := commands(parts[0])
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Equal(t, map[string]string{"inputs": `{"n": [1, 2]}`, "by": "anna", "why": "two words"}, got[0].options)
	require.Equal(t, 4, got[0].line)
	require.Equal(t, "task_exists", got[1].refusal)
	require.Equal(t, []string{"b", "x y", "7"}, got[1].words)
	require.Equal(t, `"x y"`, got[1].json(1))
	require.Equal(t, []string{"one -> two", "two -> three"}, got[2].block)

	for _, wrong := range []string{"  indented first", `create "a`, `create a context={"n": 1`, "! code"} {
		_, err := commands(section{text: wrong, line: 1})
		require.ErrorContains(t, err, "1", wrong)
	}
	for _, wrong := range []string{"only", "only: sing", "only: fail \"x\" wait=2h", "only: fail \"x\" after=2", "only: ok {", "only: checkpoint 1"} {
		_, err := outcomes(section{text: wrong, line: 1})
		require.ErrorContains(t, err, "1", wrong)
	}
	_, err = sections("no section")
	require.Error(t, err)
}

func TestWhatIsExpectedIsCompared(t *testing.T) {
	t.Parallel()
	require.NoError(t, compare([]string{"a -> b why=\"*gone\""}, []string{"a -> b why=\"it is gone\""}))
	require.Error(t, compare([]string{"a -> b"}, []string{"a -> b attempt=1"}))
	require.Error(t, compare([]string{"a -> b"}, []string{"a -> b", "b -> c"}))
	require.NoError(t, sameJSON(`{"a": [1]}`, `{"a":[1]}`))
	require.Error(t, sameJSON(`{"a": [1]}`, `{"a":[2]}`))
	require.Error(t, sameJSON(`1`, ``))
}

// Whatever row is left out, it is named.
func TestRowsThatNoScenarioTakesAreNamed(t *testing.T) {
	t.Parallel()
	tasks, steps := emitted()
	require.Len(t, tasks, count(task.Moves(), func(m task.Move) bool { return m.Unused == "" }))
	require.Len(t, steps, count(step.Moves(), func(m step.Move) bool { return m.Unused == "" }))
	for _, rows := range [][]row{tasks, steps} {
		for left := range rows {
			taken := map[leg]int{}
			for _, r := range rows {
				taken[r.leg]++
			}
			require.Empty(t, unreached(rows, taken))
			delete(taken, rows[left].leg)
			require.NotEmpty(t, unreached(rows, taken))
		}
	}
	require.Contains(t, unreached(steps, nil), "in_progress --halt--> pending")
}

func count[T any](all []T, is func(T) bool) int {
	n := 0
	for _, x := range all {
		if is(x) {
			n++
		}
	}
	return n
}
