-- What River's own insert writes for these jobs, and the notification that wakes
-- its clients when the transaction commits: once, however many jobs there are. A
-- test compares the rows.
with told as materialized (
  select pg_notify('tasker.river_insert', '{"queue": "control"}')
)
insert into tasker.river_job (args, created_at, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags)
select jsonb_build_object('v', $1::integer, $2::text, u.id), $7, $3, $4, '{}', $5, 'control', $7, 'available', '{}'
from told cross join unnest($6::uuid[]) as u(id)
