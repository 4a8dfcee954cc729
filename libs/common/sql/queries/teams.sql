-- name: known_teams
-- Those of the teams that there are; a transaction of its own.
SELECT platform.known_teams(:team_ids::uuid[])
