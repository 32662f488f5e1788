-- +goose Up

-- What lists of tasks need besides the primary key and tasks_by_state. Both
-- indexes hold ended tasks alone: a task is put into them once, when it ends,
-- with an update that every index has to be told of anyway. Creating tasks and
-- counting their steps costs nothing more.

-- By the time of their end, which is also that of their last change.
create index tasks_ended on tasker.tasks (completed_at, task_id) where completed_at is not null;

-- +goose StatementBegin
create function tasker.id_span(id uuid) returns integer
language sql immutable strict parallel safe as $$
  select (get_byte(uuid_send(id), 0) << 20) | (get_byte(uuid_send(id), 1) << 12)
       | (get_byte(uuid_send(id), 2) << 4) | (get_byte(uuid_send(id), 3) >> 4)
$$;
-- +goose StatementEnd
comment on function tasker.id_span is
  'A number for each 17 minutes (2^20 ms), of the time in a task''s id.';

-- Correlation ids are random. Kept apart by time, those that come now fall on
-- few pages; in one heap, each would fall on a page of its own, to be written
-- whole after every checkpoint. A reader asks every span that there is.
create index tasks_correlated on tasker.tasks (tasker.id_span(task_id), correlation_id) where completed_at is not null;

-- +goose Down
drop index tasker.tasks_correlated;
drop function tasker.id_span;
drop index tasker.tasks_ended;
