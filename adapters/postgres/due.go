package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.DueStore = (*Store)(nil)

// Both halves read a partial index from its start, so that the cost follows what
// is due. A task's row has number 0; it starts if it is pending, and else its
// deadline has passed.
const sqlDue = `
with moment as materialized (
  select clock_timestamp() + $1::interval as at
), waiting as (
  (select s.task_id, s.step_no, s.dispatch_no, false as starts, s.wake_at from tasker.workflow_steps s
   where s.wake_at is not null order by s.wake_at limit $2)
  union all
  (select t.task_id, 0, 0, t.state = 'pending', t.wake_at from tasker.tasks t
   where t.wake_at is not null order by t.wake_at limit $2)
)
select w.task_id, w.step_no, w.dispatch_no, w.starts, w.wake_at, extract(epoch from w.wake_at - moment.at)::float8
from waiting w cross join moment
order by w.wake_at`

// Due implements ports.DueStore.
func (s *Store) Due(ctx context.Context, limit int, grace time.Duration) (ports.Due, error) {
	due := ports.Due{Next: -1}
	rows, err := s.hot.Query(ctx, sqlDue, s.offset.get(), limit)
	if err != nil {
		return due, translate(fmt.Errorf("due: %w", err))
	}
	var (
		ref      ident.StepRef
		dispatch int32
		starts   bool
		at       time.Time
		seconds  float64
		n        int
	)
	_, err = pgx.ForEachRow(rows, []any{&ref.Task, &ref.No, &dispatch, &starts, &at, &seconds}, func() error {
		left := time.Duration(seconds * float64(time.Second))
		if left > 0 {
			if due.Next < 0 {
				due.Next = left
			}
			return nil
		}
		if n++; n == 1 {
			due.Earliest = at.UTC()
		}
		if -left > grace {
			due.Overdue++
		}
		switch {
		case ref.No > 0:
			due.Wakes = append(due.Wakes, plan.Wake{Ref: ref, Dispatch: dispatch, Cause: plan.RetryDue})
		case starts:
			due.Wakes = append(due.Wakes, plan.Wake{Ref: ref, Cause: plan.StartDue})
		default:
			due.Endings = append(due.Endings, plan.Ending{
				Task: ref.Task, End: plan.DeadlinePassed, Why: "its deadline has passed: " + at.UTC().Format(time.RFC3339),
			})
		}
		return nil
	})
	if n >= limit {
		due.Next = 0
	}
	return due, translate(err)
}

// A server is gone when nobody holds the lock on its number, so that no
// connection of its can still commit, or when it has not renewed its lease: a
// frozen process keeps its connections.
const sqlGoneInstances = `
select i.instance_no, l.held, i.description
from tasker.instances i
cross join lateral (
  select exists (
    select from pg_locks l
    where l.locktype = 'advisory' and l.classid = $2::integer::oid and l.objid = i.instance_no::oid and l.granted
      and l.database = (select oid from pg_database where datname = current_database())) as held
) l
where i.instance_no <> $1 and (not l.held or i.expires_at < clock_timestamp())`

// Leases are found through the tasks that are in process: an index on them
// would make every claim and every result touch it.
const sqlLeasesOf = `
select s.task_id, s.step_no, s.dispatch_no, s.lease_owner
from (select distinct namespace from tasker.templates) n
cross join lateral (
  select t.task_id from tasker.tasks t where t.namespace = n.namespace and t.state = 'steps_in_process' offset 0
) t
cross join lateral (
  select s.task_id, s.step_no, s.dispatch_no, s.lease_owner from tasker.workflow_steps s
  where s.task_id = t.task_id and s.state = 'in_progress' and s.lease_owner = any ($1) offset 0
) s
order by s.task_id, s.step_no
limit $2`

// LostLeases implements ports.DueStore.
func (s *Store) LostLeases(ctx context.Context, limit int) ([]plan.Wake, error) {
	rows, err := s.hot.Query(ctx, sqlGoneInstances, s.Instance(), lockClass)
	if err != nil {
		return nil, translate(err)
	}
	var (
		no          int32
		held        bool
		name        string
		closed, all []int32
		why         = map[int32]string{}
	)
	_, err = pgx.ForEachRow(rows, []any{&no, &held, &name}, func() error {
		all = append(all, no)
		if why[no] = fmt.Sprintf("%s did not renew its lease", name); !held {
			why[no] = name + " is gone"
			closed = append(closed, no)
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		return nil, translate(err)
	}
	var wakes []plan.Wake
	err = pgx.BeginFunc(ctx, s.hot, func(tx pgx.Tx) error {
		// Under the exclusive lock: a server that comes back waits for the end of
		// this, and takes a new number when its old one is gone. One that only
		// does not renew keeps its number, for it may wake up: what it holds by
		// then is taken again, until it renews.
		rows, err := tx.Query(ctx, `
			select instance_no from unnest($1::integer[]) as u(instance_no)
			where pg_try_advisory_xact_lock($2, instance_no)`, closed, lockClass)
		if err != nil {
			return err
		}
		locked, err := pgx.CollectRows(rows, pgx.RowTo[int32])
		if err != nil {
			return err
		}
		mine := slices.Clone(locked)
		for _, no := range all {
			if !slices.Contains(closed, no) {
				mine = append(mine, no)
			}
		}
		if rows, err = tx.Query(ctx, sqlLeasesOf, mine, limit); err != nil {
			return err
		}
		w := plan.Wake{Cause: plan.LeaseLost}
		_, err = pgx.ForEachRow(rows, []any{&w.Ref.Task, &w.Ref.No, &w.Dispatch, &no}, func() error {
			w.Why = why[no]
			wakes = append(wakes, w)
			return nil
		})
		if err == nil && len(wakes) == 0 && len(locked) > 0 {
			_, err = tx.Exec(ctx, "delete from tasker.instances where instance_no = any ($1)", locked)
		}
		return err
	})
	if err != nil {
		return nil, translate(fmt.Errorf("lost leases: %w", err))
	}
	return wakes, nil
}

// The names of queues are skipped through, and of the jobs of each that nobody
// serves the oldest are read.
const sqlUnserved = `
with recursive queues as (
  (select r.queue from tasker.river_job r where r.state = 'available' order by r.state, r.queue limit 1)
  union all
  select n.queue from queues q
  cross join lateral (
    select r.queue from tasker.river_job r where r.state = 'available' and r.queue > q.queue order by r.state, r.queue limit 1
  ) n
), jobs as (
  select j.*
  from queues q
  cross join lateral (
    select (r.args->>'task_id')::uuid as task_id, (r.args->>'step_no')::integer as step_no,
           (r.args->>'dispatch_no')::integer as dispatch_no
    from tasker.river_job r
    where r.state = 'available' and r.queue = q.queue and r.kind = $4
      and r.created_at < clock_timestamp() - $2::interval
    order by r.priority, r.scheduled_at, r.id limit $3
  ) j
  where q.queue <> all ($1)
)
select distinct on (j.task_id) j.task_id, j.step_no, j.dispatch_no
from jobs j
join tasker.tasks t on t.task_id = j.task_id and not t.letter_open
-- The clock of tests moves in between, and jobs do not know it: steps do.
join tasker.workflow_steps s on s.task_id = j.task_id and s.step_no = j.step_no and s.updated_at < clock_timestamp() - $2::interval
where t.letters = 0 or not exists ( -- somebody has just looked
  select from tasker.tasks_dlq d
  where d.task_id = t.task_id and d.ordinal = t.letters and d.resolution_timestamp > clock_timestamp() - $2::interval)
order by j.task_id, j.step_no
limit $3`

// UnservedSteps implements ports.DueStore.
func (s *Store) UnservedSteps(ctx context.Context, age time.Duration, limit int) ([]plan.Wake, error) {
	holders, err := s.Holders(ctx)
	if err != nil {
		return nil, err
	}
	served := []string{}
	for _, h := range holders {
		for _, q := range h.Declared {
			if h.Live {
				served = append(served, s.queue.Name(q))
			}
		}
	}
	rows, err := s.reads.Query(ctx, sqlUnserved, served, age-s.offset.get(), limit, s.queue.Kind())
	if err != nil {
		return nil, translate(fmt.Errorf("unserved steps: %w", err))
	}
	var wakes []plan.Wake
	w := plan.Wake{Cause: plan.Unserved, Why: "no worker has declared the handler of a step for " + age.String()}
	_, err = pgx.ForEachRow(rows, []any{&w.Ref.Task, &w.Ref.No, &w.Dispatch}, func() error {
		wakes = append(wakes, w)
		return nil
	})
	return wakes, translate(err)
}
