-- Saved audiences.

-- name: insert_audience
INSERT INTO saved_audience (team_id, audience_id, name, name_folded, audience, named_audiences, revision, create_time, update_time)
VALUES (:team_id, :audience_id, :name, :name_folded, :audience, :named, 1, :now, :now)
RETURNING audience_id, name, audience, revision, create_time, update_time

-- name: load_audience
SELECT audience_id, name, audience, revision, create_time, update_time
  FROM saved_audience WHERE team_id = :team_id AND audience_id = :audience_id

-- name: lock_audience
SELECT audience_id, name, audience, revision, create_time, update_time
  FROM saved_audience WHERE team_id = :team_id AND audience_id = :audience_id FOR UPDATE

-- name: update_audience
UPDATE saved_audience
   SET name = :name, name_folded = :name_folded, audience = :audience, named_audiences = :named,
       revision = revision + 1, update_time = :now
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

-- name: hold_audiences
-- Until the transaction ends nobody else changes what a team's saved audiences name.
SELECT pg_advisory_xact_lock(hashtextextended('segment.saved_audience ' || :team_id::uuid::text, 0))

-- name: reached_audiences
-- Some saved audiences, and those that they name, be it through others.
WITH RECURSIVE reached (team_id, audience_id) AS (
    SELECT team_id, audience_id FROM unnest(:teams::uuid[], :audiences::uuid[]) AS asked (team_id, audience_id)
    UNION
    SELECT s.team_id, named.audience_id
      FROM reached AS r
      JOIN saved_audience AS s ON s.team_id = r.team_id AND s.audience_id = r.audience_id
     CROSS JOIN LATERAL unnest(s.named_audiences) AS named (audience_id)
)
SELECT s.team_id, s.audience_id, s.name, s.audience, s.revision, s.create_time, s.update_time
  FROM reached AS r JOIN saved_audience AS s ON s.team_id = r.team_id AND s.audience_id = r.audience_id

-- name: reaching_audiences
-- Those that name one, be it through others.
WITH RECURSIVE reaching (audience_id) AS (
    SELECT s.audience_id FROM saved_audience AS s
     WHERE s.team_id = :team_id AND s.named_audiences @> ARRAY[:audience_id::uuid]
    UNION
    SELECT s.audience_id FROM reaching AS r
      JOIN saved_audience AS s ON s.team_id = :team_id AND s.named_audiences @> ARRAY[r.audience_id]
)
SELECT s.audience_id, s.name, s.audience, s.revision, s.create_time, s.update_time
  FROM reaching AS r JOIN saved_audience AS s ON s.team_id = :team_id AND s.audience_id = r.audience_id
 ORDER BY s.audience_id

-- name: naming_audiences
-- Those that name one themselves.
SELECT audience_id, name, audience, revision, create_time, update_time
  FROM saved_audience WHERE team_id = :team_id AND named_audiences @> ARRAY[:audience_id::uuid]
 ORDER BY audience_id LIMIT :row_max
