-- Removes entries of the audit log that are older than `kept`, in real time, or than their team says: one of `kept_by_teams` for each of
-- `team_ids`. Team by team, the oldest first, at most `row_max` at once; returns how many. It runs with its owner's rights: segment, which
-- calls it, may take out what is old and nothing else. Whatever it asks for, what is younger than 30 days stays: who has got hold of
-- its role must not be able to hide what they did.
CREATE OR REPLACE FUNCTION platform.forget_audit_entries_v2(
    kept interval, team_ids uuid[], kept_by_teams interval[], row_max integer) RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE team (team_id) AS (
        (SELECT e.team_id FROM platform.audit_entry AS e ORDER BY e.team_id LIMIT 1)
        UNION ALL
        SELECT (SELECT e.team_id FROM platform.audit_entry AS e WHERE e.team_id > t.team_id ORDER BY e.team_id LIMIT 1)
          FROM team AS t WHERE t.team_id IS NOT NULL
    ), due (team_id, before) AS (
        SELECT t.team_id, clock_timestamp() - GREATEST(COALESCE(own.kept, forget_audit_entries_v2.kept), interval '30 days')
          FROM team AS t
          LEFT JOIN unnest(team_ids, kept_by_teams) AS own (team_id, kept) ON own.team_id = t.team_id
         WHERE t.team_id IS NOT NULL
    ), old AS MATERIALIZED (
        SELECT o.team_id, o.audit_entry_id
          FROM due AS d
         CROSS JOIN LATERAL (
            -- A team whose oldest entry stays costs that one look.
            SELECT first.changed_at FROM platform.audit_entry AS first
             WHERE first.team_id = d.team_id ORDER BY first.audit_entry_id LIMIT 1
         ) AS oldest
         CROSS JOIN LATERAL (
            SELECT e.team_id, e.audit_entry_id
              FROM (
                SELECT each.team_id, each.audit_entry_id, each.changed_at FROM platform.audit_entry AS each
                 WHERE each.team_id = d.team_id ORDER BY each.audit_entry_id LIMIT row_max
              ) AS e
             WHERE e.changed_at < d.before
         ) AS o
         WHERE oldest.changed_at < d.before
         LIMIT row_max
    ), gone AS (
        DELETE FROM platform.audit_entry AS e USING old AS o
         WHERE e.team_id = o.team_id AND e.audit_entry_id = o.audit_entry_id RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

REVOKE ALL ON FUNCTION platform.forget_audit_entries_v2(interval, uuid[], interval[], integer) FROM PUBLIC;
