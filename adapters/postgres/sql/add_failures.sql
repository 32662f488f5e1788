insert into tasker.dlq_failures (
  dlq_entry_uuid, task_id, step_no, step_name, dispatch_no, attempt, at, error_type, message, fingerprint)
select u.dlq_entry_uuid, u.task_id, u.step_no, u.step_name, u.dispatch_no, u.attempt, $1, u.error_type, u.message, u.fingerprint
from unnest($2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::integer[], $7::integer[], $8::text[], $9::text[], $10::text[])
     as u(dlq_entry_uuid, task_id, step_no, step_name, dispatch_no, attempt, error_type, message, fingerprint)
