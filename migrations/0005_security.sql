-- +goose Up

-- API keys. Of a secret only its hash is kept. Rows of revoked keys stay: the
-- audit log speaks of them.
create table tasker.api_keys (
  key_id       text not null,
  name         text not null,
  permissions  text[] not null,
  roles        text[] not null,
  namespaces   text[] not null,
  secret_hash  bytea not null check (length(secret_hash) = 32),
  old_hash     bytea check (length(old_hash) = 32),
  old_until    timestamptz,
  created_at   timestamptz not null,
  created_by   text not null,
  expires_at   timestamptz,
  rotated_at   timestamptz,
  last_used_at timestamptz,
  revoked_at   timestamptz,
  revoked_by   text not null default '',
  constraint api_keys_pkey primary key (key_id),
  constraint api_keys_old check ((old_hash is null) = (old_until is null))
);
create unique index api_keys_name on tasker.api_keys (name) where revoked_at is null;
comment on column tasker.api_keys.namespaces is 'Empty for all.';

-- Who changed what. Rows are added and not touched again.
create table tasker.audit_log (
  audit_id       bigint generated always as identity,
  at             timestamptz not null,
  principal      text not null,
  principal_kind text not null,
  principal_id   text not null,
  operation      text not null,
  target_kind    text not null,
  target         text not null,
  namespace      text not null,
  reason         text not null,
  outcome        text not null,
  request_id     text not null,
  remote_address text not null,
  door           text not null,
  constraint audit_log_pkey primary key (audit_id)
);
create index audit_log_by_principal on tasker.audit_log (principal, audit_id);
create index audit_log_by_operation on tasker.audit_log (operation, audit_id);
create index audit_log_by_target on tasker.audit_log (target, audit_id);
create index audit_log_by_time on tasker.audit_log (at);
comment on column tasker.audit_log.outcome is 'ok, or the code of the fault.';

-- +goose StatementBegin
create function tasker.keep_audit_log() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_setting('tasker.audit_retention', true) = 'on' then
    return null;
  end if;
  raise exception 'tasker.audit_log is only added to; tasker.drop_audit_log(before) removes what is old'
    using errcode = 'insufficient_privilege';
end
$$;
-- +goose StatementEnd
create trigger audit_log_is_kept before update or delete or truncate on tasker.audit_log
  for each statement execute function tasker.keep_audit_log();

-- The one way to remove rows: those of more than a day ago, oldest first, and the
-- log says that it was done.
-- +goose StatementBegin
create function tasker.drop_audit_log(before timestamptz) returns bigint language plpgsql
set tasker.audit_retention = 'on' as $$
declare
  dropped bigint;
begin
  if before is null or before > now() - interval '1 day' then
    raise exception 'only rows of more than a day ago can be dropped, not those before %', before
      using errcode = 'invalid_parameter_value';
  end if;
  delete from tasker.audit_log where at < before;
  get diagnostics dropped = row_count;
  insert into tasker.audit_log (at, principal, principal_kind, principal_id, operation, target_kind, target, namespace, reason,
    outcome, request_id, remote_address, door)
  values (clock_timestamp(), session_user, 'database', session_user, 'DropAuditLog', 'audit_log', 'before ' || before, '',
    dropped || ' rows', 'ok', '', coalesce(host(inet_client_addr()), ''), 'sql');
  return dropped;
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function tasker.drop_audit_log(timestamptz);
drop table tasker.audit_log, tasker.api_keys;
drop function tasker.keep_audit_log();
