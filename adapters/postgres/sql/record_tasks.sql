insert into tasker.task_transitions (task_id, at, server, from_state, to_state, path, by_whom, reason)
select u.task_id, $1, $2, u.from_state, u.to_state, u.path::text[], u.by_whom, u.reason
from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
     as u(task_id, from_state, to_state, path, by_whom, reason)
