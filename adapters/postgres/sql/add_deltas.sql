insert into tasker.count_deltas (template_id, kind, state, delta)
select * from unnest($1::bigint[], $2::text[], $3::text[], $4::integer[])
