-- +goose Up

-- River's tables are made before this one runs. Its two GIN indexes cost some
-- 900 bytes of WAL for each job, and nothing here asks for jobs by their
-- arguments or metadata.
drop index if exists tasker.river_job_args_index;
drop index if exists tasker.river_job_metadata_index;

-- Jobs live for milliseconds: vacuum by count, not by share of a table that is
-- nearly empty.
alter table tasker.river_job set (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000
);

-- +goose Down
create index river_job_args_index on tasker.river_job using gin (args);
create index river_job_metadata_index on tasker.river_job using gin (metadata);
