select encode(i.identity, 'hex'), i.task_id
from tasker.task_identities i
where not exists (select from tasker.tasks t where t.task_id = i.task_id)
order by i.task_id
