select d.task_id, d.ordinal, d.resolution_status = 'pending', d.resolution_timestamp
from tasker.tasks_dlq d
where d.task_id > $1 and d.task_id <= $2
order by d.task_id, d.ordinal
