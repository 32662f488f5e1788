package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.DueStore = (*Store)(nil)

const sqlDueRetries = `
select s.task_id, s.step_no, s.dispatch_no, s.wake_at <= clock_timestamp() + $1::interval,
       extract(epoch from s.wake_at - clock_timestamp() - $1::interval)::float8
from tasker.workflow_steps s
where s.wake_at is not null
order by s.wake_at
limit $2`

// DueRetries implements ports.DueStore. It reads the partial index of waiting
// steps from its start, so that its cost follows what is due.
func (s *Store) DueRetries(ctx context.Context, limit int) ([]plan.Wake, time.Duration, error) {
	rows, err := s.hot.Query(ctx, sqlDueRetries, s.offset, limit)
	if err != nil {
		return nil, 0, translate(fmt.Errorf("due retries: %w", err))
	}
	var (
		wakes   []plan.Wake
		w       = plan.Wake{Cause: plan.RetryDue}
		due     bool
		seconds float64
		next    = time.Duration(-1)
	)
	_, err = pgx.ForEachRow(rows, []any{&w.Ref.Task, &w.Ref.No, &w.Dispatch, &due, &seconds}, func() error {
		switch {
		case due:
			wakes = append(wakes, w)
		case next < 0:
			next = max(0, time.Duration(seconds*float64(time.Second)))
		}
		return nil
	})
	if len(wakes) == limit {
		next = 0
	}
	return wakes, next, translate(err)
}

// A server is gone when nobody holds the lock on its number: no connection of
// its can still commit.
const sqlGoneInstances = `
select i.instance_no from tasker.instances i
where i.instance_no <> $1 and not exists (
  select from pg_locks l
  where l.locktype = 'advisory' and l.classid = $2::integer::oid and l.objid = i.instance_no::oid and l.granted
    and l.database = (select oid from pg_database where datname = current_database()))`

// Leases are found through the tasks that are in process: an index on them
// would make every claim and every result touch it.
const sqlLeasesOf = `
select s.task_id, s.step_no, s.dispatch_no
from (select distinct namespace from tasker.templates) n
cross join lateral (
  select t.task_id from tasker.tasks t where t.namespace = n.namespace and t.state = 'steps_in_process' offset 0
) t
cross join lateral (
  select s.task_id, s.step_no, s.dispatch_no from tasker.workflow_steps s
  where s.task_id = t.task_id and s.state = 'in_progress' and s.lease_owner = any ($1) offset 0
) s
order by s.task_id, s.step_no
limit $2`

// LostLeases implements ports.DueStore.
func (s *Store) LostLeases(ctx context.Context, limit int) ([]plan.Wake, error) {
	var gone []int32
	rows, err := s.hot.Query(ctx, sqlGoneInstances, s.Instance(), lockClass)
	if err == nil {
		gone, err = pgx.CollectRows(rows, pgx.RowTo[int32])
	}
	if err != nil || len(gone) == 0 {
		return nil, translate(err)
	}
	var wakes []plan.Wake
	err = pgx.BeginFunc(ctx, s.hot, func(tx pgx.Tx) error {
		// Under the exclusive lock: a server that comes back waits for the end of
		// this, and takes a new number when its old one is gone.
		rows, err := tx.Query(ctx, `
			select instance_no from unnest($1::integer[]) as u(instance_no)
			where pg_try_advisory_xact_lock($2, instance_no)`, gone, lockClass)
		if err != nil {
			return err
		}
		locked, err := pgx.CollectRows(rows, pgx.RowTo[int32])
		if err != nil || len(locked) == 0 {
			return err
		}
		rows, err = tx.Query(ctx, sqlLeasesOf, locked, limit)
		if err != nil {
			return err
		}
		w := plan.Wake{Cause: plan.LeaseLost}
		_, err = pgx.ForEachRow(rows, []any{&w.Ref.Task, &w.Ref.No, &w.Dispatch}, func() error {
			wakes = append(wakes, w)
			return nil
		})
		if err == nil && len(wakes) == 0 {
			_, err = tx.Exec(ctx, "delete from tasker.instances where instance_no = any ($1)", locked)
		}
		return err
	})
	if err != nil {
		return nil, translate(fmt.Errorf("lost leases: %w", err))
	}
	return wakes, nil
}
