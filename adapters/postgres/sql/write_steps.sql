-- Applies changes of steps, each only while the row still has the state and the
-- dispatch that the decision was made on. The rows are found by primary key
-- first and updated by address, so that the planner has no join order to get
-- wrong while the table is nearly empty.
with found as materialized (
  select s.ctid as address, u.*
  from unnest($1::uuid[], $2::integer[], $3::text[], $4::integer[], $5::text[], $6::integer[],
              $7::integer[], $8::integer[], $9::integer[], $10::timestamptz[], $11::text[], $12::text[],
              $13::integer[], $16::text[])
       as u(task_id, step_no, from_state, live, state, dispatch_no,
            open_parents, attempts, losses, wake_at, result, failure, elapsed_ms, inputs)
  cross join lateral (
    select s.ctid from tasker.workflow_steps s
    where s.task_id = u.task_id and s.step_no = u.step_no
      and s.state = u.from_state and s.dispatch_no = u.live offset 0
  ) s
), written as (
  update tasker.workflow_steps s
  set state = f.state, dispatch_no = f.dispatch_no, open_parents = f.open_parents,
      attempts = f.attempts, losses = f.losses, wake_at = f.wake_at, lease_owner = null,
      result = coalesce(f.result::jsonb, s.result),
      failure = coalesce(f.failure::jsonb, s.failure),
      elapsed_ms = coalesce(f.elapsed_ms, s.elapsed_ms),
      last_failure_at = case when f.failure is null then s.last_failure_at else $14 end,
      completed_at = case when f.state = f.from_state then s.completed_at
                          when f.state in ('complete', 'cancelled', 'resolved_manually') then $14 end,
      inputs = coalesce(f.inputs::jsonb, s.inputs),
      -- What was saved belongs to the inputs that it was made from.
      checkpoint = case when f.state <> 'complete' and f.inputs is null then s.checkpoint end,
      updated_at = $14
  from found f
  where s.ctid = f.address and s.state = f.from_state and s.dispatch_no = f.live
  returning 1
)
select tasker.require_rows((select count(*) from written), $15, 'workflow_steps')
