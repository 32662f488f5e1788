package checker

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Querier is a transaction or a connection. To check a server that is at work
// it must be one transaction with one snapshot (repeatable read).
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

type taskRow struct {
	ID, State                             string
	Template                              int64
	Total, Open, Active, Retrying, Failed int
}

type stepRow struct {
	Task                                        string
	No                                          int
	Name, State                                 string
	Attempts, MaxAttempts, Dispatch, OpenParent int
	Parents                                     []int
	Leased, Waking                              bool
	Run                                         *string // the run that the result names
}

type taskMove struct {
	Task     string
	At       time.Time
	From, To string
	Path     []string
}

type stepMove struct {
	Task              string
	No                int
	Dispatch, Attempt int
	At                time.Time
	From, To          string
	Path              []string
}

// hop is what the moves of tasks and steps have in common.
type hop interface {
	ends() (from, to string, path []string)
	at() time.Time
}

func (m taskMove) ends() (from, to string, path []string) { return m.From, m.To, m.Path }
func (m taskMove) at() time.Time                          { return m.At }
func (m stepMove) ends() (from, to string, path []string) { return m.From, m.To, m.Path }
func (m stepMove) at() time.Time                          { return m.At }

type count struct {
	Template    int64
	Kind, State string
	N           int64
}

// stored is all that the database says.
type stored struct {
	tasks     []taskRow
	steps     []stepRow
	taskMoves []taskMove
	stepMoves []stepMove
	counts    []count
	leftovers []string // facts that must not be there, in words
}

const (
	sqlTasks = `
select task_id::text, state, template_id, total, open, active, retrying, failed from tasker.tasks order by task_id`
	sqlSteps = `
select task_id::text, step_no, name, state, attempts, max_attempts, dispatch_no, open_parents, parents,
       lease_owner is not null, wake_at is not null, result->>'run'
from tasker.workflow_steps order by task_id, step_no`
	sqlTaskMoves = `
select task_id::text, at, from_state, to_state, path from tasker.task_transitions order by task_id, at`
	sqlStepMoves = `
select task_id::text, step_no, dispatch_no, attempt, at, from_state, to_state, path
from tasker.step_transitions order by task_id, step_no, at`
	sqlCounts = `
select template_id, kind, state, sum(n)::bigint
from (select template_id, kind, state, n from tasker.counts
      union all select template_id, kind, state, delta from tasker.count_deltas) c
group by template_id, kind, state having sum(n) <> 0`
	sqlLeftovers = `
select 'job ' || id || ' in queue ' || queue || ' (' || state || '): ' || args from tasker.river_job
where queue <> 'control' -- the server's own jobs come and go by the clock
union all
select 'identity ' || encode(i.identity, 'hex') || ' names the task ' || i.task_id || ', which does not exist'
from tasker.task_identities i where not exists (select from tasker.tasks t where t.task_id = i.task_id)
union all
select 'task ' || t.task_id || ' has no identity'
from tasker.tasks t where not exists (select from tasker.task_identities i where i.task_id = t.task_id)
union all
select count(*) || ' tasks with the same template and context: ' || string_agg(task_id::text, ', ')
from tasker.tasks group by template_id, context having count(*) > 1`
)

func load(ctx context.Context, q Querier) (*stored, error) {
	var (
		s   stored
		err error
	)
	if s.tasks, err = all[taskRow](ctx, q, sqlTasks); err != nil {
		return nil, err
	}
	if s.steps, err = all[stepRow](ctx, q, sqlSteps); err != nil {
		return nil, err
	}
	if s.taskMoves, err = all[taskMove](ctx, q, sqlTaskMoves); err != nil {
		return nil, err
	}
	if s.stepMoves, err = all[stepMove](ctx, q, sqlStepMoves); err != nil {
		return nil, err
	}
	if s.counts, err = all[count](ctx, q, sqlCounts); err != nil {
		return nil, err
	}
	rows, err := q.Query(ctx, sqlLeftovers)
	if err != nil {
		return nil, fmt.Errorf("leftovers: %w", err)
	}
	s.leftovers, err = pgx.CollectRows(rows, pgx.RowTo[string])
	return &s, err
}

func all[T any](ctx context.Context, q Querier, sql string) ([]T, error) {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sql, err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sql, err)
	}
	return got, nil
}
