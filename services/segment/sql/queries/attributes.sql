-- Definitions of attributes.

-- name: find_attributes
SELECT a.team_id, a.key, a.display_name, a.type, a.archived, a.revision, a.create_time, a.update_time
  FROM unnest(:keys::input_key[]) AS named
 CROSS JOIN LATERAL (
    SELECT * FROM attribute AS r WHERE r.team_id = named.team_id AND r.key = named.key LIMIT 1
 ) AS a

-- name: active_attributes
SELECT key, type FROM attribute WHERE team_id = :team_id AND NOT archived

-- name: list_attributes
-- `archived` null: any.
SELECT team_id, key, display_name, type, archived, revision, create_time, update_time
  FROM attribute
 WHERE team_id = :team_id AND key > :after AND (:archived::boolean IS NULL OR archived = :archived)
 ORDER BY key LIMIT :row_max

-- name: insert_attribute
INSERT INTO attribute (team_id, key, display_name, type, archived, revision, create_time, update_time)
VALUES (:team_id, :key, :display_name, :type, false, 1, :now, :now)
ON CONFLICT (team_id, key) DO NOTHING
RETURNING team_id, key, display_name, type, archived, revision, create_time, update_time

-- name: lock_attribute
SELECT team_id, key, display_name, type, archived, revision, create_time, update_time
  FROM attribute WHERE team_id = :team_id AND key = :key FOR UPDATE

-- name: update_attribute
UPDATE attribute
   SET display_name = :display_name, type = :type, archived = :archived, revision = revision + 1, update_time = :now
 WHERE team_id = :team_id AND key = :key
RETURNING team_id, key, display_name, type, archived, revision, create_time, update_time
