-- version: 2
-- Imports of all teams that a worker has to go on with. It runs with its owner's rights, because a worker serves all teams
-- and must know which before it may read them; it tells ids and nothing else.
CREATE OR REPLACE FUNCTION unfinished_imports() RETURNS TABLE (team_id uuid, import_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT i.team_id, i.import_id FROM import AS i
     WHERE i.state IN (import_state('RUNNING'), import_state('UNDOING'))
     ORDER BY i.created_at
$$;
