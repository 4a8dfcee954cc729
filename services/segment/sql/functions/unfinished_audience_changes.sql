-- Changes of all teams that a worker has to go on with. It runs with its owner's rights, because a worker serves all teams and must
-- know which before it may read them; it tells ids and nothing else.
CREATE OR REPLACE FUNCTION unfinished_audience_changes() RETURNS TABLE (team_id uuid, change_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT c.team_id, c.change_id FROM audience_change AS c WHERE NOT c.ended ORDER BY c.created_at LIMIT 1000
$$;
