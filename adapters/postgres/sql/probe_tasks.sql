-- Which of these tasks exist: asked when the outcome of a commit is unknown.
select t.task_id
from unnest($1::uuid[]) as u(task_id)
cross join lateral (select t.task_id from tasker.tasks t where t.task_id = u.task_id offset 0) t
