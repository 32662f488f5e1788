-- The states of a row as one text: there are few different ones.
select h.task_id, h.at, concat_ws(',', h.from_state, h.to_state, nullif(array_to_string(h.path, ','), ''))
from tasker.task_transitions h
where h.task_id > $1 and h.task_id <= $2
order by h.task_id, h.at
