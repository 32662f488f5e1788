package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// seedTasks fills the tables by the shortest way: finished tasks of 20
// namespaces, a few of which are in process.
const seedTasks = `
with made as (
  insert into tasker.tasks (
    task_id, created_at, updated_at, requested_at, completed_at, template_id, priority, total, open, active, retrying, failed,
    correlation_id, state, namespace, initiator, source_system, reason, context)
  select (left(tasker.partition_bound(m.at)::text, 24) || lpad(to_hex(i), 7, '0') || '00000')::uuid,
         m.at, m.at, m.at, m.at, m.template_id, 0, 2, 0, 0, 0, 0,
         gen_random_uuid(), case when i % 100 < 3 then 'steps_in_process' else 'complete' end,
         m.namespace, 'seed', 'seed', 'seed', '{}'
  from (
    select i, now() - interval '1 hour' + i * interval '10 ms' as at, t.template_id, t.namespace
    from generate_series(1, $1::integer) i
    join (select row_number() over (order by template_id) - 1 as n, count(*) over () as of, * from tasker.templates) t on t.n = i % t.of
  ) m(i, at, template_id, namespace)
  returning task_id, created_at
)
insert into tasker.workflow_steps (
  task_id, step_no, def_no, open_parents, attempts, max_attempts, dispatch_no, created_at, updated_at, state, name, parents, children)
select task_id, no, no, 0, 1, 2, 1, created_at, created_at, 'complete', 'x', '{}', '{}' from made cross join generate_series(1, 2) no`

func TestReadsUseIndexes(t *testing.T) {
	t.Parallel()
	f := open(t)
	var ts []*template.Template
	for i := range 20 {
		ts = append(ts, workflow(t, fmt.Sprintf("ns%02d", i), "a", "1.0.0", "x"))
	}
	f.register(t, ts...)
	f.exec(t, seedTasks, 30_000)
	f.exec(t, "vacuum analyze tasker.tasks, tasker.workflow_steps, tasker.templates")
	page := func(t *testing.T, filter ports.TaskFilter, p ports.TaskPage) []ident.TaskID {
		t.Helper()
		p.Limit = 25
		got, err := f.Tasks(t.Context(), filter, p)
		require.NoError(t, err)
		require.Len(t, got.Tasks, 25)
		ids := make([]ident.TaskID, len(got.Tasks))
		for i := range got.Tasks {
			ids[i] = got.Tasks[i].ID
		}
		return ids
	}
	middle := page(t, ports.TaskFilter{}, ports.TaskPage{Skip: 10_000})[0]

	for name, c := range map[string]struct {
		read  func(t *testing.T)
		index string
		sorts bool // a page may be sorted out of a namespace
	}{
		"the first page": {
			func(t *testing.T) { page(t, ports.TaskFilter{}, ports.TaskPage{}) }, "tasks_pkey", false,
		},
		"a later page": {
			func(t *testing.T) { page(t, ports.TaskFilter{}, ports.TaskPage{After: ports.TaskMark{ID: middle}}) }, "tasks_pkey", false,
		},
		"a namespace": {
			func(t *testing.T) { page(t, ports.TaskFilter{Namespace: "ns03"}, ports.TaskPage{}) }, "tasks_by_state", false,
		},
		"a namespace, a later page": {
			func(t *testing.T) {
				page(t, ports.TaskFilter{Namespace: "ns03"}, ports.TaskPage{After: ports.TaskMark{ID: middle}})
			}, "tasks_by_state", false,
		},
		"a namespace and a state": {
			func(t *testing.T) {
				page(t, ports.TaskFilter{Namespace: "ns00", States: []task.State{task.StepsInProcess}}, ports.TaskPage{Total: ports.CheapTotal})
			}, "tasks_by_state", false,
		},
		"a state": {
			func(t *testing.T) {
				page(t, ports.TaskFilter{States: []task.State{task.StepsInProcess}}, ports.TaskPage{})
			}, "tasks_by_state", false,
		},
		"a template": {
			func(t *testing.T) {
				page(t, ports.TaskFilter{Namespace: "ns03", Name: "a", Version: "1.0.0"}, ports.TaskPage{Total: ports.CheapTotal})
			}, "tasks_by_state", true,
		},
		"by completion": {
			func(t *testing.T) {
				page(t, ports.TaskFilter{Initiator: "seed"}, ports.TaskPage{Order: ports.ByCompletion, Total: ports.CheapTotal})
			}, "tasks_ended", false,
		},
		"by the last change": {
			func(t *testing.T) { page(t, ports.TaskFilter{}, ports.TaskPage{Order: ports.ByUpdate}) }, "tasks_ended", false,
		},
		"a state that no task is in": {
			func(t *testing.T) {
				got, err := f.Tasks(t.Context(), ports.TaskFilter{States: []task.State{task.WaitingForRetry}}, ports.TaskPage{Limit: 25})
				require.NoError(t, err)
				require.Empty(t, got.Tasks)
			}, "tasks_by_state", false,
		},
		"a correlation": {
			func(t *testing.T) {
				id := uuid.NullUUID{UUID: uuid.New(), Valid: true}
				got, err := f.Tasks(t.Context(), ports.TaskFilter{CorrelationID: id}, ports.TaskPage{Limit: 25})
				require.NoError(t, err)
				require.Empty(t, got.Tasks)
			}, "tasks_correlated", false,
		},
		"a task": {
			func(t *testing.T) {
				_, _, err := f.Task(t.Context(), middle)
				require.NoError(t, err)
			}, "tasks_pkey", false,
		},
		"states of tasks": {
			func(t *testing.T) {
				_, err := f.States(t.Context(), []ident.TaskID{middle})
				require.NoError(t, err)
			}, "tasks_pkey", false,
		},
		"results": {
			func(t *testing.T) {
				_, err := f.Results(t.Context(), middle, []string{"x"})
				require.NoError(t, err)
			}, "workflow_steps_pkey", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			sent := f.sql.during(func() { c.read(t) })
			for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
				plans := f.explain(t, mode, sent)
				require.Contains(t, plans, c.index, mode)
				require.NotContains(t, plans, "Seq Scan on tasks", mode)
				require.NotContains(t, plans, "Seq Scan on workflow_steps", mode)
				if !c.sorts {
					require.NotContains(t, plans, "Bitmap Heap Scan on tasks", mode)
				}
			}
		})
	}
}

// explain returns how the database goes about statements of one call, in a
// session that plans for the arguments or for any.
func (f *fixture) explain(t *testing.T, mode string, sent []statement) string {
	t.Helper()
	conn := f.connect(t)
	_, err := conn.Exec(t.Context(), "select set_config('plan_cache_mode', $1, false), set_config('jit', 'off', false)", mode)
	require.NoError(t, err)
	var plans strings.Builder
	for i, s := range sent {
		if strings.HasPrefix(s.sql, "begin") {
			_, err := conn.Exec(t.Context(), s.sql)
			require.NoError(t, err)
			continue
		}
		_, err := conn.Exec(t.Context(), fmt.Sprintf("prepare s%d as %s", i, s.sql))
		require.NoError(t, err)
		args := []any{pgx.QueryExecModeSimpleProtocol}
		var places []string
		for j, arg := range s.args {
			args, places = append(args, literal(arg)), append(places, fmt.Sprintf("$%d", j+1))
		}
		given := ""
		if len(places) > 0 {
			given = "(" + strings.Join(places, ", ") + ")"
		}
		rows, err := conn.Query(t.Context(), fmt.Sprintf("explain execute s%d %s", i, given), args...)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		plans.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return plans.String()
}

// literal makes an argument one that may stand in a statement's text.
func literal(arg any) any {
	switch v := arg.(type) {
	case ident.TaskID:
		return v.String()
	case []uuid.UUID:
		return texts(v)
	case []ident.TaskID:
		return texts(v)
	case uuid.NullUUID:
		if !v.Valid {
			return nil
		}
		return v.UUID.String()
	default:
		return arg
	}
}

func texts[T fmt.Stringer](values []T) []string {
	var out []string
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}
