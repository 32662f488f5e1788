-- A page of tasks, cut where it has enough steps.
with page as materialized (
  select t.task_id, t.template_id, t.namespace, t.state, t.total, t.open, t.active, t.retrying, t.failed,
         t.wake_at, t.letters, t.letter_open,
         sum(t.total) over (order by t.task_id rows unbounded preceding) - t.total as before
  from (
    select t.* from tasker.tasks t where t.task_id > $1 and t.task_id <= $2 order by t.task_id limit $3
  ) t
)
select t.task_id, t.template_id, d.template_id is not null, t.state, t.total, t.open, t.active, t.retrying, t.failed,
       t.wake_at, t.letters, t.letter_open,
       exists (
         select from tasker.pauses p
         where p.kind = 'namespace' and p.namespace = t.namespace
            or p.kind = 'template' and p.namespace = d.namespace and p.name = d.name and p.version = d.version
            or p.kind = 'task' and p.task_id = t.task_id),
       clock_timestamp()
from page t
left join tasker.templates d on d.template_id = t.template_id
where t.before < $4
order by t.task_id
