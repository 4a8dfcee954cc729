-- Adds an entry of the audit log for each of these teams that there is, by the ids in their order; a transaction of its own. The
-- nil UUID stands for a change of no team. Where it runs for a client of one team, it adds for no other.
CREATE OR REPLACE FUNCTION platform.add_audit_entries(
    team_ids uuid[], entry_ids uuid[], actor text, client_id uuid, method text, request_id text, resource_type text,
    resource_id text, fields text[], before text, after text, cut boolean)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM platform.bind(team_ids);
    INSERT INTO platform.audit_entry (team_id, audit_entry_id, actor, client_id, method, request_id, resource_type,
                                      resource_id, fields, before, after, cut)
    SELECT n.team_id, n.entry_id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
      FROM unnest(team_ids, entry_ids) AS n (team_id, entry_id)
     WHERE n.team_id = '00000000-0000-0000-0000-000000000000'
        OR EXISTS (SELECT FROM platform.team AS t WHERE t.team_id = n.team_id);
END
$$;
