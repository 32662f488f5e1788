-- name: TallyPeriod
-- A row per slice of a period: what the tasks read of it are like. Of each slice
-- the first tasks are read, by the primary key. Steps are read of as many of
-- those as there is room for, turn by turn of each slice.
with picked as materialized (
  select s.no, t.*,
         sum(t.total) over (order by t.turn, s.no) as filled
  from unnest($1::uuid[], $2::uuid[]) with ordinality as s (low, high, no)
  cross join lateral (
    select task_id, state, total, created_at, start_at, completed_at,
           row_number() over (order by task_id) as turn
    from tasker.tasks
    where task_id >= s.low and task_id < s.high
    order by task_id
    limit $3
  ) t
), steps as (
  select p.no, count(d.took) as n, extract(epoch from sum(d.took)) as took
  from picked p
  cross join lateral (
    select case
      -- Of the attempt that settled it. One that somebody else completed by hand
      -- after it had failed has none.
      when w.state = 'complete' and (w.last_failure_at is null or w.last_failure_at < w.last_attempted_at)
        then w.completed_at - w.last_attempted_at
      when w.state = 'error' and w.last_failure_at >= w.last_attempted_at then w.last_failure_at - w.last_attempted_at
    end as took
    from tasker.workflow_steps w
    where w.task_id = p.task_id
    offset 0 -- keeps this a look-up by key for each task
  ) d
  where p.filled <= $4::bigint
  group by p.no
), tasks as (
  select no, count(*) as read, max(task_id::text) as last, sum(total) as total,
         count(*) filter (where state = 'complete') as completed,
         count(*) filter (where state in ('error', 'blocked_by_failures')) as failed,
         extract(epoch from sum(completed_at - greatest(created_at, start_at)) filter (where state = 'complete')) as took
  from picked group by no
)
select t.no, t.read, t.last, t.total::bigint, t.completed, t.failed, coalesce(t.took, 0)::float8,
       coalesce(s.n, 0)::bigint, coalesce(s.took, 0)::float8
from tasks t left join steps s using (no)
order by t.no
