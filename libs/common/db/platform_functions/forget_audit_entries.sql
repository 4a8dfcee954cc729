-- Removes entries of the audit log from before a real time, of all teams, the oldest first, at most `row_max` at once; returns how
-- many. It runs with its owner's rights: segment, which calls it, may take out what is old and nothing else. Whatever it asks
-- for, what is younger than 30 days stays: who has got hold of its role must not be able to hide what they did.
CREATE OR REPLACE FUNCTION platform.forget_audit_entries(changed_before timestamptz, row_max integer) RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH old AS (
        SELECT e.ctid FROM platform.audit_entry AS e
         WHERE e.changed_at < LEAST(changed_before, clock_timestamp() - interval '30 days')
         ORDER BY e.changed_at LIMIT row_max FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM platform.audit_entry AS e WHERE e.ctid IN (SELECT old.ctid FROM old) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

REVOKE ALL ON FUNCTION platform.forget_audit_entries(timestamptz, integer) FROM PUBLIC;
