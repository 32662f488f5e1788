-- +goose Up

-- The whole life of a task: timers of tasks, operators, dead letters, leases
-- that a server renews.

alter table tasker.tasks
  add column entered_at  timestamptz,
  add column start_at    timestamptz,
  add column deadline    timestamptz,
  add column wake_at     timestamptz,
  add column letters      integer not null default 0,
  add column letter_open  boolean not null default false,
  add column letter_stale boolean not null default false;
update tasker.tasks set entered_at = updated_at;
alter table tasker.tasks alter column entered_at set default now(), alter column entered_at set not null;
create index tasks_wake on tasker.tasks (wake_at) where wake_at is not null;
comment on column tasker.tasks.entered_at is 'When the task came into its state.';
comment on column tasker.tasks.wake_at is
  'The next moment at which the task moves by itself: start_at while it is pending, then deadline. Null for never.';
comment on column tasker.tasks.letters is 'How many dead letters there have been: the ordinal of the newest.';
comment on column tasker.tasks.letter_stale is
  'The open dead letter is about standing still: it closes when anything moves.';

alter table tasker.workflow_steps
  add column checkpoint jsonb,
  add column inputs     jsonb;
comment on column tasker.workflow_steps.inputs is
  'What the handler gets instead of handler.initialization of the template: edited by an operator. Null for as it is.';

alter table tasker.step_transitions
  add column by_whom text,
  add column reason  text;

-- A server renews its row; one that does not is gone, whatever its connections
-- say: a frozen process keeps them open.
alter table tasker.instances
  add column expires_at timestamptz,
  add column handlers   jsonb not null default '[]';
comment on column tasker.instances.expires_at is
  'Until when the steps that the server runs are its own. Null until it renews for the first time.';
comment on column tasker.instances.handlers is
  'What its workers have declared: an array of [namespace, handler].';

-- What operators hold back. Few rows: claims look at all of them.
create table tasker.pauses (
  kind      text not null check (kind in ('namespace', 'template', 'task')),
  namespace text not null default '',
  name      text not null default '',
  version   text not null default '',
  task_id   uuid not null default '00000000-0000-0000-0000-000000000000',
  by_whom   text not null,
  reason    text not null,
  since     timestamptz not null,
  constraint pauses_pkey primary key (kind, namespace, name, version, task_id)
);

create table tasker.disabled_templates (
  namespace text not null,
  name      text not null,
  version   text not null,
  by_whom   text not null,
  reason    text not null,
  since     timestamptz not null,
  constraint disabled_templates_pkey primary key (namespace, name, version)
);

create table tasker.tasks_dlq (
  dlq_entry_uuid       uuid not null,
  task_id              uuid not null,
  ordinal              integer not null,
  template_id          bigint not null,
  namespace            text not null,
  task_name            text not null,
  version              text not null,
  original_state       text not null,
  dlq_reason           text not null,
  dlq_timestamp        timestamptz not null,
  resolution_status    text not null default 'pending',
  resolution_timestamp timestamptz,
  resolution_notes     text,
  resolved_by          text,
  fingerprint          text not null default '',
  resumed_in           uuid,
  task_snapshot        jsonb not null,
  metadata             jsonb,
  created_at           timestamptz not null,
  updated_at           timestamptz not null,
  constraint tasks_dlq_pkey primary key (dlq_entry_uuid),
  constraint tasks_dlq_ordinal unique (task_id, ordinal),
  constraint tasks_dlq_reason check (dlq_reason in (
    'staleness_timeout', 'max_retries_exceeded', 'dependency_cycle_detected',
    'worker_unavailable', 'manual_dlq', 'permanent_failure')),
  constraint tasks_dlq_status check (resolution_status in (
    'pending', 'manually_resolved', 'permanently_failed', 'cancelled'))
);
create unique index tasks_dlq_open on tasker.tasks_dlq (task_id) where resolution_status = 'pending';
create index tasks_dlq_by_status on tasker.tasks_dlq (resolution_status, dlq_timestamp, dlq_entry_uuid);
create index tasks_dlq_by_resume on tasker.tasks_dlq (resumed_in) where resumed_in is not null;
comment on column tasker.tasks_dlq.fingerprint is 'Of the first failure; the others are in dlq_failures.';

-- What failed for good, appended as it fails: the reasons of a dead letter.
create table tasker.dlq_failures (
  dlq_entry_uuid uuid not null,
  task_id        uuid not null,
  step_no        integer not null,
  step_name      text not null,
  dispatch_no    integer not null,
  attempt        integer not null,
  at             timestamptz not null,
  error_type     text not null,
  message        text not null,
  fingerprint    text not null
);
create index dlq_failures_by_entry on tasker.dlq_failures (dlq_entry_uuid);
create index dlq_failures_by_fingerprint on tasker.dlq_failures (fingerprint, dlq_entry_uuid);

-- Resumes of many dead letters at once, as far as they have come.
create table tasker.dlq_resumes (
  resume_id    uuid not null,
  request      jsonb not null,
  by_whom      text not null,
  reason       text not null,
  state        text not null check (state in ('canary', 'running', 'complete', 'stopped', 'cancelled')),
  matched      integer not null,
  resumed      integer not null default 0,
  refused      integer not null default 0,
  failed_again integer not null default 0,
  after_entry  uuid,
  message      text not null default '',
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  constraint dlq_resumes_pkey primary key (resume_id)
);

-- +goose Down
drop table tasker.dlq_resumes, tasker.dlq_failures, tasker.tasks_dlq, tasker.disabled_templates, tasker.pauses;
alter table tasker.instances drop column expires_at, drop column handlers;
alter table tasker.step_transitions drop column by_whom, drop column reason;
alter table tasker.workflow_steps drop column checkpoint, drop column inputs;
alter table tasker.tasks drop column entered_at, drop column start_at, drop column deadline,
  drop column wake_at, drop column letters, drop column letter_open, drop column letter_stale;
