-- +goose Up

-- The engine of Tasker. The names of states are checked against the tables in
-- core/domain by a test, so that a row cannot hold a state that no rule knows.

create table tasker.templates (
  template_id  bigint generated always as identity primary key,
  namespace    text not null,
  name         text not null,
  version      text not null,
  revision     integer not null,
  content_hash bytea not null,
  definition   jsonb not null,
  created_at   timestamptz not null default now(),
  unique (namespace, name, version, revision)
);
comment on table tasker.templates is
  'Every revision of every template. Rows never change: a task is pinned to one.';

create table tasker.tasks (
  task_id               uuid not null,
  created_at            timestamptz not null,
  updated_at            timestamptz not null,
  requested_at          timestamptz not null,
  completed_at          timestamptz,
  template_id           bigint not null,
  priority              integer not null,
  total                 integer not null,
  open                  integer not null,
  active                integer not null,
  retrying              integer not null,
  failed                integer not null,
  correlation_id        uuid not null,
  parent_correlation_id uuid,
  state                 text not null,
  namespace             text not null,
  initiator             text not null,
  source_system         text not null,
  reason                text not null,
  tags                  jsonb,
  context               jsonb not null,
  options               jsonb,
  constraint tasks_pkey primary key (task_id) with (fillfactor = 90),
  constraint tasks_state check (state in (
    'pending', 'steps_in_process', 'waiting_for_dependencies', 'waiting_for_retry',
    'blocked_by_failures', 'complete', 'error', 'cancelled', 'resolved_manually')),
  constraint tasks_counters check (
    open between 0 and total and active >= 0 and retrying >= 0 and failed >= 0
    and active + retrying + failed <= open)
) with (
  -- Counters change with every result: the new row version must find room on
  -- its page, or every index has to be told.
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05
);
create index tasks_by_state on tasker.tasks (namespace, state, task_id);
comment on column tasker.tasks.template_id is
  'A row of tasker.templates. No foreign key: the check would lock that row for every new task.';
comment on column tasker.tasks.task_id is
  'UUIDv7 made by the server, its last 20 bits zero: those number the steps.';

create table tasker.task_identities (
  identity bytea not null,
  task_id  uuid not null,
  constraint task_identities_pkey primary key (identity)
);

create table tasker.workflow_steps (
  task_id           uuid not null,
  step_no           integer not null,
  def_no            integer not null,
  open_parents      integer not null,
  attempts          integer not null,
  max_attempts      integer not null,
  dispatch_no       integer not null,
  losses            integer not null default 0,
  lease_owner       integer,
  elapsed_ms        integer,
  created_at        timestamptz not null,
  updated_at        timestamptz not null,
  last_attempted_at timestamptz,
  last_failure_at   timestamptz,
  completed_at      timestamptz,
  wake_at           timestamptz,
  state             text not null,
  name              text not null,
  parents           integer[] not null,
  children          integer[] not null,
  result            jsonb,
  failure           jsonb,
  constraint workflow_steps_pkey primary key (task_id, step_no),
  constraint workflow_steps_state check (state in (
    'pending', 'enqueued', 'in_progress', 'waiting_for_retry', 'complete', 'error',
    'cancelled', 'resolved_manually')),
  constraint workflow_steps_numbers check (
    step_no > 0 and open_parents >= 0 and attempts >= 0 and dispatch_no >= 0 and losses >= 0),
  constraint workflow_steps_lease check ((state = 'in_progress') = (lease_owner is not null)),
  constraint workflow_steps_wake check (wake_at is null or state = 'waiting_for_retry')
) with (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05
);
-- The only other index. It mentions neither state nor lease: an index that did
-- would make every update of a step touch every index.
create index workflow_steps_wake on tasker.workflow_steps (wake_at) where wake_at is not null;

-- History: append-only, without keys, in partitions by the time in the task's
-- id, so that old ones can be dropped whole.
create table tasker.task_transitions (
  task_id    uuid not null,
  at         timestamptz not null,
  server     integer not null,
  from_state text not null,
  to_state   text not null,
  path       text[] not null,
  by_whom    text,
  reason     text
) partition by range (task_id);
create index task_transitions_by_task on tasker.task_transitions (task_id);
create table tasker.task_transitions_rest partition of tasker.task_transitions default;

create table tasker.step_transitions (
  task_id     uuid not null,
  step_no     integer not null,
  dispatch_no integer not null,
  attempt     integer not null,
  at          timestamptz not null,
  server      integer not null,
  from_state  text not null,
  to_state    text not null,
  path        text[] not null,
  failure     jsonb
) partition by range (task_id);
create index step_transitions_by_task on tasker.step_transitions (task_id);
create table tasker.step_transitions_rest partition of tasker.step_transitions default;

-- Numbers per template and state: each transaction appends what it changed, and
-- one server at a time folds the deltas, so that no row is fought over.
create table tasker.count_deltas (
  template_id bigint not null,
  kind        text not null,
  state       text not null,
  delta       integer not null
);
create table tasker.counts (
  template_id bigint not null,
  kind        text not null check (kind in ('task', 'step')),
  state       text not null,
  n           bigint not null,
  primary key (template_id, kind, state)
);

-- Servers that may hold leases. Each holds a shared advisory lock on its number
-- with every connection that can write one: the lock is free when, and only
-- when, nothing of that server can still commit.
create sequence tasker.instance_numbers as integer minvalue 1 cycle;
create table tasker.instances (
  instance_no integer primary key,
  started_at  timestamptz not null default now(),
  description text not null
);

-- +goose StatementBegin
create function tasker.require_rows(got bigint, want bigint, what text) returns void
language plpgsql as $$
begin
  if got is distinct from want then
    raise exception 'wrote % rows of %, expected %', got, what, want using errcode = 'TK001';
  end if;
end $$;
-- +goose StatementEnd
comment on function tasker.require_rows is
  'Fails the transaction when a write met rows that had moved on. The statements travel in one round trip with the commit, so the check must happen here.';

-- +goose StatementBegin
create function tasker.partition_bound(at timestamptz) returns uuid
language sql immutable as $$
  select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;
-- +goose StatementEnd
comment on function tasker.partition_bound is 'The smallest UUIDv7 of a moment.';

-- +goose Down
drop schema tasker cascade;
