-- How much there is to look at. The newest id first: what is made later is not
-- looked at.
select (select task_id from tasker.tasks order by task_id desc limit 1),
       (select count(*) from tasker.river_job where kind = $1 and state in ('available', 'pending'))
