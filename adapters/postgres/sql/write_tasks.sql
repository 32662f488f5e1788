-- Applies changes of tasks that this transaction has locked.
with found as materialized (
  select t.ctid as address, u.*
  from unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::integer[], $6::integer[],
              $7::integer[], $8::boolean[], $11::timestamptz[], $12::timestamptz[], $13::integer[], $14::boolean[],
              $15::boolean[])
       as u(task_id, from_state, state, open, active, retrying, failed, ended, wake_at, deadline, letters,
            letter_open, letter_stale)
  cross join lateral (
    select t.ctid from tasker.tasks t where t.task_id = u.task_id and t.state = u.from_state offset 0
  ) t
), written as (
  update tasker.tasks t
  set state = f.state, open = f.open, active = f.active, retrying = f.retrying, failed = f.failed,
      completed_at = case when f.ended then $9::timestamptz end, updated_at = $9,
      entered_at = case when f.state = f.from_state then t.entered_at else $9 end,
      wake_at = f.wake_at, deadline = f.deadline,
      letters = f.letters, letter_open = f.letter_open, letter_stale = f.letter_stale
  from found f
  where t.ctid = f.address and t.state = f.from_state
  returning 1
)
select tasker.require_rows((select count(*) from written), $10, 'tasks')
