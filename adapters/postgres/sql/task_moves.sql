-- Where tasks stand and what happened to them since the times given: a row for
-- each task, and a row for each move of it (step_no 0) and of its steps. Each by
-- the index on its task, however many there are.
with asked as materialized (
  select u.task_id, coalesce(u.since, '-infinity'::timestamptz) as since
  from unnest($1::uuid[], $2::timestamptz[]) as u(task_id, since)
)
select t.task_id, -1 as step_no, t.created_at as at, t.state as state, t.total as dispatch, t.open as attempt,
       t.active as a, t.retrying as b, t.failed as c, null as message, null as name
from asked
cross join lateral (
  select t.task_id, t.created_at, t.state, t.total, t.open, t.active, t.retrying, t.failed
  from tasker.tasks t where t.task_id = asked.task_id offset 0
) t
union all
select h.task_id, 0, h.at, h.to_state, 0, 0, 0, 0, 0, null, null
from asked
cross join lateral (
  select h.task_id, h.at, h.to_state from tasker.task_transitions h where h.task_id = asked.task_id and h.at >= asked.since offset 0
) h
union all
select h.task_id, h.step_no, h.at, h.to_state, h.dispatch_no, h.attempt, 0, 0, 0, h.failure->>'message', s.name
from asked
cross join lateral (
  select h.task_id, h.step_no, h.at, h.to_state, h.dispatch_no, h.attempt, h.failure
  from tasker.step_transitions h where h.task_id = asked.task_id and h.at >= asked.since offset 0
) h
cross join lateral (
  select s.name from tasker.workflow_steps s where s.task_id = h.task_id and s.step_no = h.step_no offset 0
) s
union all
select s.task_id, s.step_no, null, null, 0, 0, 0, 0, 0, null, s.name
from asked
cross join lateral (
  select s.task_id, s.step_no, s.name from tasker.workflow_steps s
  where s.task_id = asked.task_id and asked.since = '-infinity'::timestamptz offset 0
) s
