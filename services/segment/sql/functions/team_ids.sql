-- Ids of teams in order, for the list of teams: no transaction is bound to all teams, so which they are must be asked
-- with the owner's rights. It tells ids and nothing else.
CREATE OR REPLACE FUNCTION team_ids(after uuid, row_max integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT team_id FROM team WHERE after IS NULL OR team_id > after ORDER BY team_id LIMIT row_max
$$;
