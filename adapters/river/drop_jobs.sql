-- Removes the jobs of dispatches that are not live any more, where they wait. The
-- keys are looked up in a hash, so that the cost follows the length of the queues.
delete from tasker.river_job r
where r.state in ('available', 'pending') and r.queue = any ($1) and r.kind = $2
  and (r.args->>'task_id') || '/' || (r.args->>'step_no') || '/' || (r.args->>'dispatch_no') = any ($3)
