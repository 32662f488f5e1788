-- name: Steps :many
-- The steps of one task: a range of the primary key.
select *
from tasker.workflow_steps s
where s.task_id = @task_id
order by s.step_no;

-- name: StepCounts :many
-- The steps of each task by what became of them.
select s.task_id,
       count(*) filter (where s.state = 'pending')::integer as pending,
       count(*) filter (where s.state = 'in_progress')::integer as in_progress,
       count(*) filter (where s.state in ('complete', 'resolved_manually'))::integer as completed
from tasker.workflow_steps s
where s.task_id = any (@ids::uuid[])
group by s.task_id;

-- name: StepResults :many
-- What steps of one task returned; a result that is JSON's null is one.
select s.step_no, s.name, s.result
from tasker.workflow_steps s
where s.task_id = @task_id and s.name = any (@names::text[]) and s.result is not null
order by s.step_no;
