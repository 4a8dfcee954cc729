-- The audit log, in a table of the platform that all services add to.

-- name: forget_audit_entries
-- Of all teams; those that are older than so many days of real time.
SELECT platform.forget_audit_entries_v2(:kept, :team_ids, :kept_by_teams, :row_max)

-- name: list_audit_entries
-- Newest first.
SELECT audit_entry_id, changed_at, actor, client_id, method, request_id, resource_type, resource_id, fields, before, after, cut
  FROM platform.audit_entry
 WHERE team_id = :team_id
   AND (:actor = '' OR actor = :actor)
   AND (:resource_type = '' OR resource_type = :resource_type)
   AND (:resource_id = '' OR resource_id = :resource_id)
   AND (:start_at::timestamptz IS NULL OR changed_at >= :start_at)
   AND (:end_at::timestamptz IS NULL OR changed_at < :end_at)
   AND (:before_id::uuid IS NULL OR audit_entry_id < :before_id)
 ORDER BY audit_entry_id DESC LIMIT :most
