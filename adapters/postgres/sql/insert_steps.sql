insert into tasker.workflow_steps (
  task_id, step_no, def_no, open_parents, attempts, max_attempts, dispatch_no, created_at, updated_at,
  state, name, parents, children)
select u.task_id, u.step_no, u.def_no, u.open_parents, 0, u.max_attempts, u.dispatch_no, $1, $1,
       u.state, u.name, u.parents::integer[], u.children::integer[]
from unnest($2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::integer[],
            $8::text[], $9::text[], $10::text[], $11::text[])
     as u(task_id, step_no, def_no, open_parents, max_attempts, dispatch_no, state, name, parents, children)
