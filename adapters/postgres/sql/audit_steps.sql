select s.task_id, s.step_no, s.name, s.state, s.open_parents, s.attempts, s.max_attempts, s.dispatch_no,
       s.lease_owner, s.wake_at, s.result is not null, s.parents
from tasker.workflow_steps s
where s.task_id > $1 and s.task_id <= $2
order by s.task_id, s.step_no
