-- Reads the steps named and their direct children, each once. A statement of
-- its own: one that also locked would read from before it had waited.
with named as materialized (
  select s.task_id, s.step_no, s.children
  from unnest($1::uuid[], $2::integer[]) as u(task_id, step_no)
  cross join lateral (
    select s.task_id, s.step_no, s.children from tasker.workflow_steps s
    where s.task_id = u.task_id and s.step_no = u.step_no offset 0
  ) s
), near as materialized (
  select task_id, step_no from named
  union
  select n.task_id, c.step_no from named n cross join lateral unnest(n.children) as c(step_no)
)
select s.task_id, s.step_no, s.def_no, s.state, s.open_parents, s.attempts, s.dispatch_no, s.losses, s.children
from near
cross join lateral (
  select s.* from tasker.workflow_steps s
  where s.task_id = near.task_id and s.step_no = near.step_no offset 0
) s
