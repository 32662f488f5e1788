-- Who holds the identities: a statement of its own, so that it sees what
-- claim_identities waited for. The tasks that were to have them hold theirs.
select i.identity, i.task_id
from unnest($1::bytea[]) as u(identity)
cross join lateral (
  select i.identity, i.task_id from tasker.task_identities i where i.identity = u.identity offset 0
) i
