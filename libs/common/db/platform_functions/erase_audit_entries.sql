-- Empties how resources were and became in the entries of a team's audit log that hold one of these texts, of the next `row_max` entries
-- after one; a request id that holds one becomes its digest. Who did what, and when, stays. Returns the last entry looked at, null at the end.
-- It runs with its owner's rights: segment, which calls it, may empty texts of the team that its transaction is bound to, and
-- nothing else.
CREATE OR REPLACE FUNCTION platform.erase_audit_entries(
    of_team uuid, behind uuid, row_max integer, identifiers text[]) RETURNS uuid
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    last uuid;
BEGIN
    IF NOT platform.teams() @> ARRAY[of_team] THEN
        RETURN NULL;
    END IF;
    WITH page AS MATERIALIZED (
        SELECT e.audit_entry_id, e.request_id, lower(e.request_id) AS request_text,
               lower(e.resource_id || ' ' || e.before || ' ' || e.after) AS text
          FROM platform.audit_entry AS e
         WHERE e.team_id = of_team AND (behind IS NULL OR e.audit_entry_id > behind)
         ORDER BY e.audit_entry_id LIMIT row_max
    ), emptied AS (
        UPDATE platform.audit_entry AS e
           SET before = '', after = '',
               request_id = CASE WHEN EXISTS (SELECT FROM unnest(identifiers) AS i WHERE strpos(p.request_text, i) > 0)
                                 THEN encode(sha256(convert_to(e.request_id, 'UTF8')), 'hex') ELSE e.request_id END
          FROM page AS p
         WHERE e.team_id = of_team AND e.audit_entry_id = p.audit_entry_id
           AND EXISTS (SELECT FROM unnest(identifiers) AS i WHERE strpos(p.text, i) > 0 OR strpos(p.request_text, i) > 0)
    )
    SELECT p.audit_entry_id INTO last FROM page AS p ORDER BY 1 DESC LIMIT 1;
    RETURN last;
END
$$;

REVOKE ALL ON FUNCTION platform.erase_audit_entries(uuid, uuid, integer, text[]) FROM PUBLIC;
