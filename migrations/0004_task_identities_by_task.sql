-- +goose Up

-- A task that is purged gives its identity back. The identity itself cannot be
-- made again from what is stored (a caller's key is kept nowhere else). Ids of
-- tasks grow with time, so this index grows at its right end and costs a new
-- task some 70 bytes of WAL.
create index task_identities_by_task on tasker.task_identities (task_id);

-- +goose Down
drop index tasker.task_identities_by_task;
