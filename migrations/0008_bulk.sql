-- +goose Up

-- What is done to many tasks at once, as far as it has come.
create table tasker.bulk_operations (
  operation_id uuid not null,
  action       text not null check (action in ('cancel', 'retry')),
  request      jsonb not null,
  by_whom      text not null,
  reason       text not null,
  within       text[],
  state        text not null check (state in ('running', 'complete', 'cancelled')),
  matched      integer not null,
  at_least     boolean not null,
  done         integer not null default 0,
  refused      integer not null default 0,
  after_task   uuid not null,
  message      text not null default '',
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  constraint bulk_operations_pkey primary key (operation_id)
);
comment on column tasker.bulk_operations.within is
  'Namespaces that whoever asked for it may touch; null for all.';

-- +goose Down
drop table tasker.bulk_operations;
