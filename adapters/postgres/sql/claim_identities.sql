-- Claims identities for new tasks. Waits for a transaction that claims the same
-- one right now; one that is held already is left alone.
insert into tasker.task_identities (identity, task_id)
select * from unnest($1::bytea[], $2::uuid[])
on conflict (identity) do nothing
