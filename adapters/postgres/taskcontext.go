package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.TaskContexts = (*Store)(nil)

// pg_column_size tells what a value takes without unpacking it. The running sum
// decides before anything is read.
const sqlOutputs = `
select w.name, case when w.room then s.result end
from (
  select name, task_id, step_no, sum(pg_column_size(result)) over (order by step_no) <= $2::bigint as room
  from tasker.workflow_steps
  where task_id = $1 and state in ('complete', 'resolved_manually') and result is not null
) w
join tasker.workflow_steps s using (task_id, step_no)
order by w.step_no`

// TaskContext implements ports.TaskContexts.
func (s *Store) TaskContext(ctx context.Context, id ident.TaskID, limit int64) (ports.TaskContext, error) {
	var c ports.TaskContext
	err := pgx.BeginTxFunc(ctx, s.reads, pgx.TxOptions{BeginQuery: beginSnapshot}, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "select namespace, context from tasker.tasks where task_id = $1", id).Scan(&c.Namespace, &c.Inputs); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sqlOutputs, id, limit)
		if err != nil {
			return err
		}
		c.Outputs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (o ports.StepOutput, err error) {
			err = row.Scan(&o.Name, &o.Value)
			return o, err
		})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return c, fault.New(fault.CodeTaskNotFound, "there is no task %s", id)
	}
	if err != nil {
		return c, translate(fmt.Errorf("read the context of a task: %w", err))
	}
	return c, nil
}
