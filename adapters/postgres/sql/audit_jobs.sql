-- No index leads from a task to its jobs, so all that wait are looked at.
-- Numbers that are none are those of no dispatch.
select u.id::uuid, r.id, r.state = 'pending',
       case when r.args->>'step_no' ~ '^[0-9]{1,9}$' then (r.args->>'step_no')::integer else -1 end,
       case when r.args->>'dispatch_no' ~ '^[0-9]{1,9}$' then (r.args->>'dispatch_no')::integer else -1 end
from unnest($1::text[]) as u(id)
join tasker.river_job r on r.args->>'task_id' = u.id
where r.kind = $2 and r.state in ('available', 'pending')
order by u.id::uuid, r.id
