-- Closes dead letters.
update tasker.tasks_dlq d
set resolution_status = u.status, resolution_timestamp = $1, updated_at = $1,
    resolved_by = coalesce(u.by_whom, d.resolved_by), resolution_notes = coalesce(u.note, d.resolution_notes)
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) as u(dlq_entry_uuid, status, by_whom, note)
where d.dlq_entry_uuid = u.dlq_entry_uuid and d.resolution_status = 'pending'
