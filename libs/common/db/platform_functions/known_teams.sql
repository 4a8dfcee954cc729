-- Which of the teams there are.
CREATE OR REPLACE FUNCTION platform.known_teams(team_ids uuid[]) RETURNS SETOF uuid
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.team_id FROM platform.team AS t WHERE t.team_id = ANY (team_ids)
$$;
