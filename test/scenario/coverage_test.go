package scenario_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
)

// leg is one move along the way of a stored row.
type leg struct {
	from, to string
	rests    bool // a step rests in pending after it: only a halt leaves it there
}

const (
	taskTable = "task_transitions"
	stepTable = "step_transitions"
)

// legs returns those that the history of a table holds, and how often.
func (w *onPostgres) legs(ctx context.Context, table string) (map[leg]int, error) {
	rows, err := w.direct.Query(ctx, "select from_state, to_state, path from "+pgx.Identifier{"tasker", table}.Sanitize())
	if err != nil {
		return nil, err
	}
	var (
		all      = map[leg]int{}
		from, to string
		path     []string
	)
	_, err = pgx.ForEachRow(rows, []any{&from, &to, &path}, func() error {
		at := from
		way := append(slices.Clone(path), to)
		for i, next := range way {
			all[leg{at, next, table == stepTable && i == len(way)-1 && next == step.Pending.String()}]++
			at = next
		}
		return nil
	})
	return all, err
}

// row is a move of a table that the system takes.
type row struct {
	leg
	event string
}

// emitted returns the rows of both tables that this system takes.
func emitted() (tasks, steps []row) {
	for _, m := range task.Moves() {
		if m.Unused == "" {
			tasks = append(tasks, row{leg{from: m.From.String(), to: m.To.String()}, m.On.String()})
		}
	}
	for _, m := range step.Moves() {
		if m.Unused == "" {
			steps = append(steps, row{leg{m.From.String(), m.To.String(), m.On == step.Halt}, m.On.String()})
		}
	}
	return tasks, steps
}

// unreached names the rows that were not taken. Events are not stored: rows that
// lead from one state to another by different events are reached together. See
// TestRowsThatHistoryCannotTellApart.
func unreached(rows []row, taken map[leg]int) []string {
	var missing []string
	for _, r := range rows {
		if taken[r.leg] == 0 {
			missing = append(missing, fmt.Sprintf("%s --%s--> %s", r.from, r.event, r.to))
		}
	}
	return missing
}

// requireEveryRow fails unless the scenarios took every row of both tables.
func requireEveryRow(t *testing.T, all []world) {
	t.Helper()
	inTasks, inSteps := map[leg]int{}, map[leg]int{}
	for _, w := range all {
		for table, sum := range map[string]map[leg]int{taskTable: inTasks, stepTable: inSteps} {
			found, err := w.(*onPostgres).legs(t.Context(), table)
			require.NoError(t, err)
			for l, n := range found {
				sum[l] += n
			}
		}
	}
	tasks, steps := emitted()
	require.Empty(t, unreached(tasks, inTasks), "no scenario takes a task over these rows of its table")
	require.Empty(t, unreached(steps, inSteps), "no scenario takes a step over these rows of its table")
	for what, pair := range map[string][2]any{"task": {inTasks, tasks}, "step": {inSteps, steps}} {
		legal := map[leg]bool{}
		for _, r := range pair[1].([]row) {
			legal[r.leg] = true
		}
		for l := range pair[0].(map[leg]int) {
			require.True(t, legal[l], "the table of a %s has no such row: %s -> %s", what, l.from, l.to)
		}
	}
}

// The history holds states. Where two events lead from one state to another, the
// row of either counts for both; a scenario beside the coverage has to see to
// each of them.
func TestRowsThatHistoryCannotTellApart(t *testing.T) {
	t.Parallel()
	tasks, steps := emitted()
	var twins []string
	for _, rows := range [][]row{tasks, steps} {
		events := map[leg]string{}
		for _, r := range rows {
			if first, ok := events[r.leg]; ok {
				twins = append(twins, fmt.Sprintf("%s -> %s: %s, %s", r.from, r.to, first, r.event))
			}
			events[r.leg] = r.event
		}
	}
	require.Equal(t, []string{
		"steps_in_process -> evaluating_results: all_steps_completed, step_completed",
		"blocked_by_failures -> error: give_up, timeout", // whole.txtar, deadline.txtar
	}, twins)
}
