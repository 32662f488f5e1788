-- name: ProbePeriod
-- How much there is of a period: tasks, up to one more than are read whole, and
-- their steps; the first and the last task of the period; and how many tasks there
-- are in all, as far as they are counted.
select count(*), coalesce(sum(t.total), 0)::bigint, (array_agg(t.task_id order by t.task_id))[1],
       (select l.task_id from tasker.tasks l where l.task_id >= $1 order by l.task_id desc limit 1),
       (select count(*) from (select from tasker.tasks m where m.task_id >= $1 limit $3) m)
from (
  select task_id, total from tasker.tasks where task_id >= $1 order by task_id limit $2
) t
