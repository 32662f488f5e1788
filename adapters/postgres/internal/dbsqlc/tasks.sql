-- name: SumTasks :one
-- How many tasks there are of some templates in some states, from the numbers
-- that are kept, folded plus not folded yet: exact, and no task is looked at.
select coalesce(sum(c.n), 0)::bigint
from (
  select template_id, kind, state, n from tasker.counts
  union all
  select template_id, kind, state, delta from tasker.count_deltas
) c
join tasker.templates m on m.template_id = c.template_id
where c.kind = 'task'
  and (@namespace::text = '' or m.namespace = @namespace)
  and (@name::text = '' or m.name = @name)
  and (@version::text = '' or m.version = @version)
  and (sqlc.narg('states')::text[] is null or c.state = any (sqlc.narg('states')::text[]));

-- name: Tasks :many
select sqlc.embed(t), m.name, m.version
from tasker.tasks t
join tasker.templates m on m.template_id = t.template_id
where t.task_id = any (@ids::uuid[])
order by t.task_id desc;

-- name: TaskStates :many
select t.task_id, t.state
from tasker.tasks t
where t.task_id = any (@ids::uuid[]);
