-- Jobs of steps of tasks that do not exist, and those in a state in which nobody
-- takes them. What is no id is that of no task.
select j.id, j.queue, j.state::text, j.args::text, t.task_id is null
from (
  select r.*, case when r.args->>'task_id' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                   then (r.args->>'task_id')::uuid end as task_id
  from tasker.river_job r where r.kind = $1
) j
left join tasker.tasks t on t.task_id = j.task_id
where t.task_id is null or j.state not in ('available', 'pending')
order by j.id
