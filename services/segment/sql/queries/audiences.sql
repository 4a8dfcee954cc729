-- Saved audiences.

-- name: insert_audience
INSERT INTO saved_audience (team_id, audience_id, name, name_folded, audience, revision, create_time, update_time)
VALUES (:team_id, :audience_id, :name, :name_folded, :audience, 1, :now, :now)
RETURNING audience_id, name, audience, revision, create_time, update_time

-- name: load_audience
SELECT audience_id, name, audience, revision, create_time, update_time
  FROM saved_audience WHERE team_id = :team_id AND audience_id = :audience_id

-- name: lock_audience
SELECT audience_id, name, audience, revision, create_time, update_time
  FROM saved_audience WHERE team_id = :team_id AND audience_id = :audience_id FOR UPDATE

-- name: update_audience
UPDATE saved_audience
   SET name = :name, name_folded = :name_folded, audience = :audience, revision = revision + 1, update_time = :now
 WHERE team_id = :team_id AND audience_id = :audience_id
RETURNING audience_id, name, audience, revision, create_time, update_time

-- name: delete_audience
DELETE FROM saved_audience WHERE team_id = :team_id AND audience_id = :audience_id
RETURNING true

-- name: list_audiences
-- `after` may be null.
SELECT audience_id, name, audience, revision, create_time, update_time
  FROM saved_audience WHERE team_id = :team_id AND (:after::uuid IS NULL OR audience_id > :after)
 ORDER BY audience_id LIMIT :row_max
