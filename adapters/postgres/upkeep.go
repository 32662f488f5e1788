package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.Upkeep = (*Store)(nil)

// One statement, which is one transaction: the lock is taken before the first
// row is, and by whom it is not got deletes nothing.
const sqlFold = `
with folded as (
  delete from tasker.count_deltas
  where (select pg_try_advisory_xact_lock($1, $2))
  returning template_id, kind, state, delta
)
insert into tasker.counts (template_id, kind, state, n)
select template_id, kind, state, sum(delta) from folded group by template_id, kind, state
on conflict (template_id, kind, state) do update set n = counts.n + excluded.n`

// FoldCounts implements ports.Upkeep. Whoever gets the lock does the work, so
// no server has to be elected for it.
func (s *Store) FoldCounts(ctx context.Context) error {
	_, err := s.reads.Exec(ctx, sqlFold, lockClass, lockFold)
	return translate(err)
}

// PreparePartitions implements ports.Upkeep.
func (s *Store) PreparePartitions(ctx context.Context) error {
	conn, err := s.reads.Acquire(ctx)
	if err != nil {
		return translate(err)
	}
	defer conn.Release()
	return translate(preparePartitions(ctx, conn.Conn(), partitionsAhead))
}

// partitionsAhead is how many months have their partition before they begin.
const partitionsAhead = 3

// preparePartitions makes the monthly partitions of history from this month on.
// A month whose rows went to the catch-all partition already, because nobody
// ran this in time, is left there: history is found through the parent anyway.
func preparePartitions(ctx context.Context, conn *pgx.Conn, months int) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var (
			mine bool
			now  time.Time
		)
		err := tx.QueryRow(ctx, "select pg_try_advisory_xact_lock($1, $2), now()", lockClass, lockPartitions).Scan(&mine, &now)
		if err != nil || !mine {
			return err
		}
		first := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
		for i := range months {
			from, until := first.AddDate(0, i, 0), first.AddDate(0, i+1, 0)
			for _, table := range []string{"task_transitions", "step_transitions"} {
				if err := preparePartition(ctx, tx, table, from, until); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func preparePartition(ctx context.Context, tx pgx.Tx, table string, from, until time.Time) error {
	name := table + "_" + from.Format("2006_01")
	var ready bool
	err := tx.QueryRow(ctx, `
		select to_regclass($1) is not null
		    or exists (select from tasker.`+table+`_rest
		               where task_id >= tasker.partition_bound($2) and task_id < tasker.partition_bound($3))`,
		Schema+"."+name, from, until).Scan(&ready)
	if err != nil || ready {
		return err
	}
	var bounds string
	err = tx.QueryRow(ctx, "select format('from (%L) to (%L)', tasker.partition_bound($1), tasker.partition_bound($2))",
		from, until).Scan(&bounds)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf("create table %s partition of %s for values %s",
		pgx.Identifier{Schema, name}.Sanitize(), pgx.Identifier{Schema, table}.Sanitize(), bounds))
	return err
}
