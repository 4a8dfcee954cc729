-- What teams say about how long their records are kept, in order of their ids: no transaction is bound to all teams, so which they are is
-- asked with the owner's rights.
CREATE OR REPLACE FUNCTION team_retentions(after uuid, row_max integer)
RETURNS TABLE (team_id uuid, webhook_bodies interval, message_contents interval, audit_entries interval, revision bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT r.team_id, r.webhook_bodies, r.message_contents, r.audit_entries, r.revision
      FROM retention AS r WHERE after IS NULL OR r.team_id > after ORDER BY r.team_id LIMIT row_max
$$;
