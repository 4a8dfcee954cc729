-- Claims the merge that is due longest for `claim_s` real seconds; where none is due a row without ids, with the seconds until one is: null if
-- there is none. One whose loser is the survivor of another that is not done waits for that.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to one; it returns ids only.
CREATE OR REPLACE FUNCTION claim_customer_merge(claim_s double precision)
RETURNS TABLE (team_id uuid, customer_merge_id uuid, version bigint, wait_s double precision)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    WITH claimed AS (
        UPDATE customer_merge AS t
           SET version = t.version + 1, tries = LEAST(t.tries + 1, 1000), due_at = clock_timestamp() + make_interval(secs => claim_s)
         WHERE (t.team_id, t.customer_merge_id) = (
            SELECT w.team_id, w.customer_merge_id FROM customer_merge AS w
             WHERE w.end_time IS NULL AND w.due_at <= clock_timestamp()
               AND NOT EXISTS (SELECT FROM customer_merge AS o
                                WHERE o.team_id = w.team_id AND o.survivor_id = w.loser_id AND o.end_time IS NULL)
             ORDER BY w.due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING t.team_id, t.customer_merge_id, t.version
    )
    SELECT c.team_id, c.customer_merge_id, c.version, 0.0::double precision FROM claimed AS c
    UNION ALL
    SELECT NULL, NULL, NULL, (
        SELECT extract(epoch FROM min(w.due_at) - clock_timestamp())::double precision FROM customer_merge AS w
         WHERE w.end_time IS NULL
           AND NOT EXISTS (SELECT FROM customer_merge AS o
                            WHERE o.team_id = w.team_id AND o.survivor_id = w.loser_id AND o.end_time IS NULL))
     WHERE NOT EXISTS (SELECT FROM claimed)
$$;
