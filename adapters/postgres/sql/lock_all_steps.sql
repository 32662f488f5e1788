-- Locks and reads every step of tasks that are locked already. Only a claim can
-- be at one of them at the same time; it never waits, so this may.
select s.task_id, s.step_no, s.def_no, s.state, s.open_parents, s.attempts, s.dispatch_no, s.losses, s.children
from unnest($1::uuid[]) as u(task_id)
cross join lateral (
  select s.* from tasker.workflow_steps s where s.task_id = u.task_id
  order by s.step_no for no key update offset 0
) s
