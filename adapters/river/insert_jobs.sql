-- What River's own bulk insert writes for these jobs, as one statement that can
-- travel in a pipeline (River's is a COPY, two or three round trips). A test
-- compares the rows.
insert into tasker.river_job (args, created_at, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags)
select jsonb_build_object('task_id', u.task_id, 'step_no', u.step_no, 'dispatch_no', u.dispatch_no),
       $1, $2, 1, '{}', u.priority, u.queue, $1, 'available', '{}'
from unnest($3::uuid[], $4::integer[], $5::integer[], $6::smallint[], $7::text[])
     as u(task_id, step_no, dispatch_no, priority, queue)
