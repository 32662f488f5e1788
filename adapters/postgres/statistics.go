package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.Statistics = (*Store)(nil)

// What is folded plus what is not folded yet: exact, whenever it was folded.
const sqlCounts = `
select t.template_id, t.namespace, t.name, t.version, c.kind, c.state, c.n
from (
  select template_id, kind, state, sum(n)::bigint as n from (
    select template_id, kind, state, n from tasker.counts
    union all
    select template_id, kind, state, delta from tasker.count_deltas
  ) both_kinds group by template_id, kind, state
) c
join tasker.templates t using (template_id)
where c.n <> 0`

// Counts implements ports.Statistics.
func (s *Store) Counts(ctx context.Context) ([]ports.StateCount, error) {
	rows, err := s.reads.Query(ctx, sqlCounts)
	if err != nil {
		return nil, translate(fmt.Errorf("counts: %w", err))
	}
	var (
		out []ports.StateCount
		c   ports.StateCount
	)
	_, err = pgx.ForEachRow(rows, []any{&c.Template, &c.Namespace, &c.Name, &c.Version, &c.Kind, &c.State, &c.Count},
		func() error { out = append(out, c); return nil })
	return out, translate(err)
}

// QueueDepths implements ports.Statistics.
func (s *Store) QueueDepths(ctx context.Context) (map[string]int64, error) {
	rows, err := s.reads.Query(ctx, `
		select queue, count(*) from tasker.river_job where state = 'available' group by queue`)
	if err != nil {
		return nil, translate(fmt.Errorf("queue depths: %w", err))
	}
	var (
		queue string
		n     int64
		out   = map[string]int64{}
	)
	_, err = pgx.ForEachRow(rows, []any{&queue, &n}, func() error { out[queue] = n; return nil })
	return out, translate(err)
}
