package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// Open tasks are found through the index by namespace and state, as lists of
// them are: the time of a state is in no index, since it changes with the state.
// Steps are looked at only where the counters say that any is at work.
const sqlStanding = `
with moment as materialized (
  select clock_timestamp() + $1::interval as at
), standing as (
  select t.task_id, t.template_id, t.state, t.entered_at, t.created_at, t.priority, t.letter_open, t.active, moment.at
  from moment
  cross join (select distinct namespace from tasker.templates where $8::text[] is null or namespace = any ($8)) n
  cross join unnest($2::text[]) as s(state)
  cross join lateral (
    select t.* from tasker.tasks t where t.namespace = n.namespace and t.state = s.state offset 0
  ) t
  where t.entered_at <= moment.at - $3::interval
    and ($4::bigint[] is null or t.template_id = any ($4))
    and ($5::bigint[] is null or t.template_id <> all ($5))
    and (not $6 or not t.letter_open
         and (t.letters = 0 or not exists (
           select from tasker.tasks_dlq d
           where d.task_id = t.task_id and d.ordinal = t.letters and d.resolution_timestamp > moment.at - $3::interval))
         and (t.active = 0 or (
           select count(*) from tasker.workflow_steps s where s.task_id = t.task_id and s.state = 'in_progress') = 0))
), shown as (`

const sqlStandingRows = `
)
select s.task_id, s.template_id, d.namespace, d.name, d.version, s.state, s.entered_at, s.created_at, s.at, s.priority,
       r.n, s.letter_open
from shown s
join tasker.templates d using (template_id)
cross join lateral (
  select count(*)::integer as n from tasker.workflow_steps w
  where s.active > 0 and w.task_id = s.task_id and w.state = 'in_progress'
) r`

// The planner believes that any state is as frequent as any other, and so would
// read all tasks that there have ever been for the few that are open.
const beginStanding = beginList + "; set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off"

const (
	sqlStandingAny     = sqlStanding + `select * from standing limit $7` + sqlStandingRows
	sqlStandingLongest = sqlStanding + `select * from standing order by entered_at, task_id limit $7` + sqlStandingRows +
		` order by s.entered_at, s.task_id`
)

// Standing implements ports.Letters.
func (s *Store) Standing(ctx context.Context, f ports.StandingFilter) ([]ports.StandingTask, error) {
	sql := sqlStandingAny
	if f.Longest {
		sql = sqlStandingLongest
	}
	args := []any{s.offset.get(), names(f.States), f.Age, f.Templates, f.Except, f.Idle, f.Limit, f.Within}
	var out []ports.StandingTask
	err := s.listingAs(ctx, beginStanding, "tasks that stand still", sql, args, func(rows pgx.Rows) error {
		var (
			x     ports.StandingTask
			state string
		)
		_, err := pgx.ForEachRow(rows, []any{
			&x.ID, &x.Template, &x.Name.Namespace, &x.Name.Name, &x.Name.Version, &state, &x.EnteredAt, &x.CreatedAt, &x.Now,
			&x.Priority, &x.Running, &x.Letter,
		}, func() (err error) {
			x.State, err = task.ParseState(state)
			x.EnteredAt, x.CreatedAt, x.Now = x.EnteredAt.UTC(), x.CreatedAt.UTC(), x.Now.UTC()
			out = append(out, x)
			return err
		})
		return err
	})
	return out, err
}
