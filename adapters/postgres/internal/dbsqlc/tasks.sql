-- name: NewestTasks :many
-- The page among all tasks: a walk down the primary key. Here and below, what is
-- compared with the columns of an index always has a value; conditions that may
-- be absent only filter what the index finds.
select t.task_id
from tasker.tasks t
where t.task_id < @before and t.task_id >= @since
  and (@initiator::text = '' or t.initiator = @initiator)
  and (@source_system::text = '' or t.source_system = @source_system)
  and (sqlc.narg('tags')::text[] is null or t.tags ?& sqlc.narg('tags')::text[])
  and (sqlc.narg('created_from')::timestamptz is null or t.created_at >= sqlc.narg('created_from')::timestamptz)
  and (sqlc.narg('created_until')::timestamptz is null or t.created_at < sqlc.narg('created_until')::timestamptz)
order by t.task_id desc
offset @skip::bigint limit @page_size::bigint;

-- name: NewestTasksByState :many
-- The page among tasks of some namespaces in some states. Each pair of the two
-- is one run of tasks_by_state in the order of ids; of each no more is read
-- than would fill the page by itself, and the newest of all of them are it.
select p.task_id
from (select unnest(@namespaces::text[]) as namespace) n
cross join (select unnest(@states::text[]) as state) s
cross join lateral (
  select t.task_id
  from tasker.tasks t
  where t.namespace = n.namespace and t.state = s.state
    and t.task_id < @before and t.task_id >= @since
    and (sqlc.narg('templates')::bigint[] is null or t.template_id = any (sqlc.narg('templates')::bigint[]))
    and (@initiator::text = '' or t.initiator = @initiator)
    and (@source_system::text = '' or t.source_system = @source_system)
    and (sqlc.narg('tags')::text[] is null or t.tags ?& sqlc.narg('tags')::text[])
    and (sqlc.narg('created_from')::timestamptz is null or t.created_at >= sqlc.narg('created_from')::timestamptz)
    and (sqlc.narg('created_until')::timestamptz is null or t.created_at < sqlc.narg('created_until')::timestamptz)
  order by t.task_id desc
  limit @reach::bigint
) p
order by p.task_id desc
offset @skip::bigint limit @page_size::bigint;

-- name: CountTasks :one
-- How many tasks match, by looking at each.
select count(*)
from tasker.tasks t
where t.task_id >= @since and t.task_id < @before
  and (sqlc.narg('namespaces')::text[] is null or t.namespace = any (sqlc.narg('namespaces')::text[]))
  and (sqlc.narg('states')::text[] is null or t.state = any (sqlc.narg('states')::text[]))
  and (sqlc.narg('templates')::bigint[] is null or t.template_id = any (sqlc.narg('templates')::bigint[]))
  and (@initiator::text = '' or t.initiator = @initiator)
  and (@source_system::text = '' or t.source_system = @source_system)
  and (sqlc.narg('tags')::text[] is null or t.tags ?& sqlc.narg('tags')::text[])
  and (sqlc.narg('created_from')::timestamptz is null or t.created_at >= sqlc.narg('created_from')::timestamptz)
  and (sqlc.narg('created_until')::timestamptz is null or t.created_at < sqlc.narg('created_until')::timestamptz);

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
