-- Opens dead letters, each with a picture of its task as this transaction leaves
-- it: those steps first that are in error.
insert into tasker.tasks_dlq (
  dlq_entry_uuid, task_id, ordinal, template_id, namespace, task_name, version, original_state, dlq_reason,
  dlq_timestamp, fingerprint, task_snapshot, metadata, created_at, updated_at)
select u.dlq_entry_uuid, u.task_id, u.ordinal, t.template_id, d.namespace, d.name, d.version, u.state, u.reason,
       $1, u.fingerprint,
       jsonb_build_object(
         'task_uuid', t.task_id, 'namespace', d.namespace, 'task_name', d.name, 'version', d.version,
         'current_state', t.state, 'snapshot_timestamp', $1::timestamptz,
         'time_in_state_minutes', floor(extract(epoch from $1::timestamptz - t.entered_at) / 60),
         'task_details', jsonb_build_object(
           'correlation_id', t.correlation_id, 'priority', t.priority, 'requested_at', t.requested_at,
           'created_at', t.created_at, 'initiator', t.initiator, 'source_system', t.source_system,
           'reason', t.reason, 'tags', t.tags),
         'context', t.context, 'total_steps', t.total, 'failed_steps', t.failed, 'steps', s.steps),
       jsonb_strip_nulls(jsonb_build_object('note', u.note)), $1, $1
from unnest($2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::text[])
     as u(dlq_entry_uuid, task_id, ordinal, reason, state, note, fingerprint)
cross join lateral (select t.* from tasker.tasks t where t.task_id = u.task_id offset 0) t
cross join lateral (select d.* from tasker.templates d where d.template_id = t.template_id offset 0) d
cross join lateral (
  select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
           'name', s.name, 'state', s.state, 'attempts', s.attempts, 'max_attempts', s.max_attempts,
           'lost_leases', nullif(s.losses, 0), 'last_failure_at', s.last_failure_at, 'error', s.failure))) as steps
  from (
    select s.* from tasker.workflow_steps s where s.task_id = u.task_id
    order by s.state <> 'error', s.state = 'complete', s.step_no
    limit 500
  ) s
) s
