-- Pairs of customers whom events named together.

-- name: note_conflicts
-- Pairs that are known stay as they are.
INSERT INTO identity_conflict (team_id, identity_conflict_id, customer_id, other_customer_id, matched_field, other_matched_field, create_time)
SELECT n.team_id, n.identity_conflict_id, n.customer_id, n.other_customer_id, n.matched_field, n.other_matched_field, :now
  FROM unnest(:rows::new_conflict[]) AS n
ON CONFLICT DO NOTHING

-- name: list_conflicts
-- `before_…` may be null.
SELECT identity_conflict_id, customer_id, other_customer_id, matched_field, other_matched_field, resolved, create_time
  FROM identity_conflict
 WHERE team_id = :team_id
   AND (:before_time::timestamptz IS NULL OR (create_time, identity_conflict_id) < (:before_time, :before_id::uuid))
 ORDER BY create_time DESC, identity_conflict_id DESC LIMIT :row_max

-- name: lock_conflict
SELECT identity_conflict_id, customer_id, other_customer_id, matched_field, other_matched_field, resolved, create_time
  FROM identity_conflict WHERE team_id = :team_id AND identity_conflict_id = :identity_conflict_id FOR UPDATE

-- name: resolve_conflict
UPDATE identity_conflict SET resolved = true WHERE team_id = :team_id AND identity_conflict_id = :identity_conflict_id
