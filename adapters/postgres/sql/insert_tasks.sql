insert into tasker.tasks (
  task_id, created_at, updated_at, requested_at, template_id, priority, total, open, active,
  retrying, failed, correlation_id, parent_correlation_id, state, namespace, initiator,
  source_system, reason, tags, context, options, entered_at, start_at, deadline, wake_at)
select u.task_id, $1, $1, coalesce(u.requested_at, $1), u.template_id, u.priority, u.total, u.open, u.active,
       0, 0, u.correlation_id, u.parent_correlation_id, u.state, u.namespace, u.initiator,
       u.source_system, u.reason, u.tags::jsonb, u.context::jsonb, u.options::jsonb,
       $1, u.start_at, u.deadline, u.wake_at
from unnest($2::uuid[], $3::timestamptz[], $4::bigint[], $5::integer[], $6::integer[], $7::integer[],
            $8::integer[], $9::uuid[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[],
            $15::text[], $16::text[], $17::text[], $18::text[], $19::timestamptz[], $20::timestamptz[],
            $21::timestamptz[])
     as u(task_id, requested_at, template_id, priority, total, open, active, correlation_id,
          parent_correlation_id, state, namespace, initiator, source_system, reason, tags, context, options, start_at,
          deadline, wake_at)
