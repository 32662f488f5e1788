-- name: LockTemplates :exec
-- Held to the end of the transaction: one server at a time registers.
select pg_advisory_xact_lock(@class::integer, @number::integer);

-- name: TemplateRevisions :many
-- Every revision of some versions of templates, without their definitions.
select m.template_id, m.namespace, m.name, m.version, m.revision, m.content_hash,
       d.by_whom, d.reason, d.since
from (
  select unnest(@namespaces::text[]) as namespace, unnest(@names::text[]) as name,
         unnest(@versions::text[]) as version
) u
join tasker.templates m on m.namespace = u.namespace and m.name = u.name and m.version = u.version
left join tasker.disabled_templates d on d.namespace = m.namespace and d.name = m.name and d.version = m.version;

-- name: InsertTemplates :many
insert into tasker.templates (namespace, name, version, revision, content_hash, definition)
select u.namespace, u.name, u.version, u.revision, u.content_hash, u.definition::jsonb
from (
  select unnest(@namespaces::text[]) as namespace, unnest(@names::text[]) as name,
         unnest(@versions::text[]) as version, unnest(@revisions::integer[]) as revision,
         unnest(@content_hashes::bytea[]) as content_hash, unnest(@definitions::text[]) as definition
) u
returning template_id, namespace, name, version, content_hash;

-- name: LatestTemplate :one
select sqlc.embed(m), d.by_whom, d.reason, d.since
from tasker.templates m
left join tasker.disabled_templates d on d.namespace = m.namespace and d.name = m.name and d.version = m.version
where m.namespace = @namespace and m.name = @name and m.version = @version
order by m.revision desc
limit 1;

-- name: Templates :many
select *
from tasker.templates m
where m.template_id = any (@ids::bigint[]);

-- name: LatestTemplates :many
-- The newest revision of every version. Templates are few.
select distinct on (m.namespace, m.name, m.version) sqlc.embed(m), d.by_whom, d.reason, d.since
from tasker.templates m
left join tasker.disabled_templates d on d.namespace = m.namespace and d.name = m.name and d.version = m.version
where @namespace::text = '' or m.namespace = @namespace
order by m.namespace, m.name, m.version, m.revision desc;

-- name: TemplatesNamed :many
-- The templates that filters of tasks speak of. Templates are few.
select m.template_id, m.namespace
from tasker.templates m
where (@namespace::text = '' or m.namespace = @namespace)
  and (@name::text = '' or m.name = @name)
  and (@version::text = '' or m.version = @version);

-- name: DisableTemplate :one
-- Whether the version is known. What is disabled already stays as it is.
with known as (
  select 1
  from tasker.templates m
  where m.namespace = @namespace and m.name = @name and m.version = @version
  limit 1
), held as (
  insert into tasker.disabled_templates (namespace, name, version, by_whom, reason, since)
  select @namespace, @name, @version, @by_whom, @reason, clock_timestamp() + @clock_offset::interval
  from known
  on conflict on constraint disabled_templates_pkey do nothing
)
select exists (select from known);

-- name: EnableTemplate :one
-- Whether the version is known.
with freed as (
  delete from tasker.disabled_templates d
  where d.namespace = @namespace and d.name = @name and d.version = @version
)
select exists (
  select
  from tasker.templates m
  where m.namespace = @namespace and m.name = @name and m.version = @version
);
