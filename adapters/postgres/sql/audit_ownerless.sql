-- Rows of tasks that do not exist.
with rows as (
  select 'workflow_steps' as home, task_id, count(*) as n from tasker.workflow_steps group by task_id
  union all
  select 'task_transitions', task_id, count(*) from tasker.task_transitions group by task_id
  union all
  select 'step_transitions', task_id, count(*) from tasker.step_transitions group by task_id
  union all
  select 'tasks_dlq', task_id, count(*) from tasker.tasks_dlq group by task_id
  union all
  select 'dlq_failures', task_id, count(*) from tasker.dlq_failures group by task_id
)
select r.home, r.task_id, r.n
from rows r
where not exists (select from tasker.tasks t where t.task_id = r.task_id)
order by r.task_id, r.home
