select d.task_id, f.step_no, f.dispatch_no
from tasker.tasks_dlq d
join tasker.dlq_failures f on f.dlq_entry_uuid = d.dlq_entry_uuid
where d.task_id > $1 and d.task_id <= $2
order by d.task_id
