-- Teams. Statements run in a transaction that is bound to the teams they concern; those that call a function which binds
-- them itself say so.

-- name: insert_team
INSERT INTO team (team_id, name, settings, unsigned_orders_count, revision, create_time, update_time)
VALUES (:team_id, :name, :settings, :unsigned_orders_count, 1, :now, :now)
ON CONFLICT (team_id) DO NOTHING
RETURNING team_id, name, settings, revision, create_time, update_time

-- name: load_teams
SELECT team_id, name, settings, revision, create_time, update_time
  FROM team WHERE team_id = ANY (:team_ids::uuid[]) ORDER BY team_id

-- name: lock_team
SELECT team_id, name, settings, revision, create_time, update_time FROM team WHERE team_id = :team_id FOR UPDATE

-- name: update_team
UPDATE team
   SET name = :name, settings = :settings, unsigned_orders_count = :unsigned_orders_count, revision = revision + 1,
       update_time = :now
 WHERE team_id = :team_id
RETURNING team_id, name, settings, revision, create_time, update_time

-- name: list_team_ids
-- `after` may be null. With the owner's rights, since no transaction is bound to all teams.
SELECT team_ids(:after, :row_max)
