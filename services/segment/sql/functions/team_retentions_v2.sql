-- What teams say about how long their records are kept, in order of their ids: no transaction is bound to all teams, so which they are is
-- asked with the owner's rights.
CREATE OR REPLACE FUNCTION team_retentions_v2(after uuid, row_max integer) RETURNS SETOF retention
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT r.* FROM retention AS r WHERE after IS NULL OR r.team_id > after ORDER BY r.team_id LIMIT row_max
$$;
