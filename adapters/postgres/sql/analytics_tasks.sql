-- name: SlowTasks
-- The templates whose tasks take longest, among the tasks read of a period. A
-- task counts once it has ended, well or badly; waiting for start_at does not
-- count as its time.
with ended as (
  select t.template_id, t.state, t.total, t.failed, t.at, t.at - t.began as took
  from unnest($1::uuid[], $2::uuid[]) as s (low, high)
  cross join lateral (
    select template_id, state, total, failed, greatest(created_at, start_at) as began, coalesce(completed_at, entered_at) as at
    from tasker.tasks
    where task_id >= s.low and task_id < s.high
    order by task_id
    limit $3
  ) t
  where t.state in ('complete', 'error', 'blocked_by_failures')
)
select t.namespace, t.name, t.version,
       extract(epoch from avg(e.took))::float8, extract(epoch from max(e.took))::float8,
       count(*), avg(e.total)::float8, count(*) filter (where e.state <> 'complete'), sum(e.failed)::bigint, max(e.at)
from ended e join tasker.templates t using (template_id)
group by t.namespace, t.name, t.version
having count(*) >= $4::bigint
order by avg(e.took) desc, t.namespace, t.name, t.version
limit $5::integer
