-- Removes traces of sends of all teams that were noted before a time, `row_max` at most; how many.
-- It runs with its owner's rights, since no transaction is bound to all teams; it returns a number only.
CREATE OR REPLACE FUNCTION forget_send_traces(noted_before timestamptz, row_max integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    WITH gone AS (
        DELETE FROM send_trace AS s
         WHERE s.ctid = ANY (ARRAY(
            SELECT o.ctid FROM send_trace AS o WHERE o.noted_at < noted_before ORDER BY o.noted_at LIMIT row_max
               FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
