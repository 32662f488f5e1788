-- Numbers that are not the real ones: what is folded and what is not, against
-- the rows.
with counted as (
  select template_id, kind, state, sum(n)::bigint as n
  from (
    select template_id, kind, state, n from tasker.counts
    union all
    select template_id, kind, state, delta from tasker.count_deltas
  ) both_kinds
  group by template_id, kind, state
), found as (
  select template_id, 'task' as kind, state, count(*) as n from tasker.tasks group by template_id, state
  union all
  select t.template_id, 'step', s.state, count(*)
  from tasker.workflow_steps s join tasker.tasks t on t.task_id = s.task_id group by t.template_id, s.state
)
select template_id, kind, state, coalesce(counted.n, 0), coalesce(found.n, 0)
from counted full join found using (template_id, kind, state)
where coalesce(counted.n, 0) <> coalesce(found.n, 0)
order by template_id, kind, state
