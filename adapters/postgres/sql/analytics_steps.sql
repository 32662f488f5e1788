-- name: SlowSteps
-- The steps that take longest, by template and name, among the tasks read of a
-- period; what is read is as in analytics_tally.sql.
with picked as materialized (
  select s.no, t.*,
         sum(t.total) over (order by t.turn, s.no) as filled
  from unnest($1::uuid[], $2::uuid[]) with ordinality as s (low, high, no)
  cross join lateral (
    select task_id, template_id, total,
           row_number() over (order by task_id) as turn
    from tasker.tasks
    where task_id >= s.low and task_id < s.high
    order by task_id
    limit $3
  ) t
), runs as (
  select p.template_id, d.name, d.state, d.at, d.took
  from picked p
  cross join lateral (
    select w.name, w.state, case w.state when 'complete' then w.completed_at else w.last_failure_at end as at, case
      when w.state = 'complete' and (w.last_failure_at is null or w.last_failure_at < w.last_attempted_at)
        then w.completed_at - w.last_attempted_at
      when w.state = 'error' and w.last_failure_at >= w.last_attempted_at then w.last_failure_at - w.last_attempted_at
    end as took
    from tasker.workflow_steps w
    where w.task_id = p.task_id and w.state in ('complete', 'error')
    offset 0
  ) d
  where p.filled <= $4::bigint and d.took is not null
)
select t.namespace, t.name, t.version, r.name,
       extract(epoch from avg(r.took))::float8, extract(epoch from max(r.took))::float8,
       count(*), count(*) filter (where r.state = 'error'), max(r.at)
from runs r join tasker.templates t using (template_id)
group by t.namespace, t.name, t.version, r.name
having count(*) >= $5::bigint
order by avg(r.took) desc, t.namespace, t.name, t.version, r.name
limit $6::integer
