-- Takes waiting steps out of their queues and into progress, in one statement
-- that runs alone or as the last one before a commit.
--
-- Per queue the first n jobs by priority and age; each with its step, when that
-- is still enqueued for the same dispatch. Nothing here waits: what somebody
-- else has locked is left alone. A job is removed when its step was taken, or
-- when its dispatch is visibly not live; a job whose step is merely locked stays.
--
-- What is paused is left alone. There are two forms of this statement. The short
-- one takes nothing when anything at all is paused; it leaves out the lines
-- between "when paused" and "end". The whole one looks at nothing of a paused
-- namespace, and sets the jobs of paused tasks and templates aside (state pending,
-- which River leaves alone too), so that they do not stand before others. The
-- lock on the pause makes its end wait until they can be found. Either says, by a
-- row with place 0, when it is time for the other.
with moment as materialized (
  select clock_timestamp() + $4::interval as at
), wanted as materialized (
  select u.queue, u.n, u.place
  from unnest($1::text[], $2::integer[], $5::text[]) with ordinality as u(queue, n, namespace, place)
  where
    -- when paused
    not exists (select from tasker.pauses p where p.kind = 'namespace' and p.namespace = u.namespace) and
    -- end
    $6::boolean = (select exists (select from tasker.pauses))
), jobs as materialized (
  select j.*, wanted.place
  from wanted
  cross join lateral (
    select r.ctid as job, (r.args->>'task_id')::uuid as task_id, (r.args->>'step_no')::integer as step_no,
           (r.args->>'dispatch_no')::integer as dispatch_no
    from tasker.river_job r
    where r.state = 'available' and r.queue = wanted.queue
    order by r.priority, r.scheduled_at, r.id
    limit wanted.n
    for update skip locked
  ) j
-- when paused
), held as materialized (
  select jobs.job, jobs.place
  from jobs
  cross join lateral (
    select from tasker.tasks t
    join tasker.templates d on d.template_id = t.template_id
    join tasker.pauses p on p.kind = 'task' and p.task_id = t.task_id
      or p.kind = 'template' and p.namespace = d.namespace and p.name = d.name and p.version = d.version
    where t.task_id = jobs.task_id
    limit 1 for key share of p skip locked
  ) p
  where (select exists (select from tasker.pauses where kind <> 'namespace'))
), aside as (
  update tasker.river_job r set state = 'pending' where r.ctid = any (array(select job from held))
-- end
), seen as materialized (
  select jobs.*, s.address
  from jobs
  left join lateral (
    select s.ctid as address from tasker.workflow_steps s
    where s.task_id = jobs.task_id and s.step_no = jobs.step_no
      and s.dispatch_no = jobs.dispatch_no and s.state = 'enqueued'
    for no key update skip locked
  ) s on true
  -- when paused
  where jobs.job <> all (array(select job from held))
  -- end
), taken as (
  update tasker.workflow_steps s
  set state = 'in_progress', lease_owner = $3, attempts = s.attempts + 1,
      last_attempted_at = (select at from moment), updated_at = (select at from moment)
  from seen
  where s.ctid = seen.address and s.state = 'enqueued' and s.dispatch_no = seen.dispatch_no
  returning seen.job, seen.place, s.task_id, s.step_no, s.def_no, s.dispatch_no, s.attempts, s.name, s.parents, s.inputs, s.checkpoint
), dead as materialized (
  select seen.job from seen
  where seen.address is null and not exists (
    select from tasker.workflow_steps s
    where s.task_id = seen.task_id and s.step_no = seen.step_no
      and s.dispatch_no = seen.dispatch_no and s.state = 'enqueued')
), removed as (
  delete from tasker.river_job r
  where r.ctid = any (array(select job from taken union all select job from dead))
), full_steps as materialized (
  select taken.*, t.template_id, t.context, t.correlation_id, t.priority
  from taken
  cross join lateral (
    select t.template_id, t.context, t.correlation_id, t.priority
    from tasker.tasks t where t.task_id = taken.task_id offset 0
  ) t
), recorded as (
  insert into tasker.step_transitions (
    task_id, step_no, dispatch_no, attempt, at, server, from_state, to_state, path)
  select task_id, step_no, dispatch_no, attempts, (select at from moment), $3, 'enqueued', 'in_progress', '{}'
  from taken
), counted as (
  insert into tasker.count_deltas (template_id, kind, state, delta)
  select f.template_id, 'step', d.state, d.sign * f.n
  from (select template_id, count(*)::integer as n from full_steps group by template_id) f
  cross join (values ('enqueued', -1), ('in_progress', 1)) as d(state, sign)
)
select f.place, f.task_id, f.step_no, f.def_no, f.dispatch_no, f.attempts, f.name, f.template_id,
       f.context::text, f.correlation_id, f.priority,
       cardinality(f.parents) <= 32 and not coalesce(p.large, false) as whole,
       p.numbers, p.names, p.results, f.inputs::text, f.checkpoint::text, (select at from moment)
from full_steps f
cross join lateral (
  select array_agg(p.step_no) as numbers, array_agg(p.name) as names,
         array_agg(case when pg_column_size(p.result) <= 8192 then p.result::text end) as results,
         bool_or(pg_column_size(p.result) > 8192) as large
  -- Each by its key: asked for by any (parents), the planner may read the whole
  -- task instead.
  from unnest(case when cardinality(f.parents) <= 32 then f.parents end) as u(step_no)
  cross join lateral (
    select p.step_no, p.name, p.result from tasker.workflow_steps p
    where p.task_id = f.task_id and p.step_no = u.step_no offset 0
  ) p
) p
union all
select place, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null
from seen where address is null
-- when paused
union all
select place, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null
from held
-- end
union all
select 0, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null
where $6::boolean <> (select exists (select from tasker.pauses))
