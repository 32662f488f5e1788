-- Locks tasks in the order in which they are given: by id. Every writer of
-- steps holds these locks, so what is read after this statement stays.
select t.task_id, t.template_id, t.namespace, t.state, t.priority,
       t.total, t.open, t.active, t.retrying, t.failed,
       t.entered_at, t.wake_at, t.deadline, t.letters, t.letter_open, t.letter_stale
from unnest($1::uuid[]) as u(task_id)
cross join lateral (
  select t.* from tasker.tasks t where t.task_id = u.task_id for no key update offset 0
) t
