insert into tasker.step_transitions (
  task_id, step_no, dispatch_no, attempt, at, server, from_state, to_state, path, failure, by_whom, reason)
select u.task_id, u.step_no, u.dispatch_no, u.attempt, $1, $2, u.from_state, u.to_state,
       u.path::text[], u.failure::jsonb, u.by_whom, u.reason
from unnest($3::uuid[], $4::integer[], $5::integer[], $6::integer[], $7::text[], $8::text[], $9::text[],
            $10::text[], $11::text[], $12::text[])
     as u(task_id, step_no, dispatch_no, attempt, from_state, to_state, path, failure, by_whom, reason)
