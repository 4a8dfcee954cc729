-- Forgets the answers given before a real time, of all teams, at most `row_max` at once; returns how many. With its
-- owner's rights, since no transaction is bound to all teams; it returns nothing of what it removes.
CREATE OR REPLACE FUNCTION forget_requests(before timestamptz, row_max integer) RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    WITH old AS (
        SELECT ctid FROM request_log WHERE real_time < before ORDER BY real_time LIMIT row_max FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM request_log WHERE ctid IN (SELECT ctid FROM old) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
