-- Journeys that were changed since their references were noted, of one team or (null) of all.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids only.
CREATE OR REPLACE FUNCTION unindexed_journeys(of_team uuid, row_max integer)
RETURNS TABLE (team_id uuid, journey_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT j.team_id, j.journey_id FROM journey AS j
     WHERE j.indexed_version <> j.version AND j.deleted_at IS NULL AND j.status BETWEEN 1 AND 4
       AND (of_team IS NULL OR j.team_id = of_team)
     ORDER BY j.team_id, j.journey_id LIMIT row_max
$$;
