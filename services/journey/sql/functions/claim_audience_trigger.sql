-- Claims the audience trigger that is due longest for `claim_s` real seconds; where none is due a row without ids, with the seconds until
-- one is: null if there is none, negative while another process claims it.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to one; it returns ids only.
CREATE OR REPLACE FUNCTION claim_audience_trigger(claim_s double precision)
RETURNS TABLE (team_id uuid, operation_id uuid, version bigint, wait_s double precision)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    WITH claimed AS (
        UPDATE audience_trigger AS t
           SET version = t.version + 1, tries = LEAST(t.tries + 1, 1000), due_at = clock_timestamp() + make_interval(secs => claim_s),
               state = CASE WHEN t.state = operation_state('PENDING') THEN operation_state('RUNNING') ELSE t.state END
         WHERE (t.team_id, t.operation_id) = (
            SELECT w.team_id, w.operation_id FROM audience_trigger AS w
             WHERE (w.state IN (operation_state('PENDING'), operation_state('RUNNING')) OR w.settled < w.handed)
               AND (NOT w.paused OR w.settled < w.handed) AND w.due_at <= clock_timestamp()
             ORDER BY w.due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING t.team_id, t.operation_id, t.version
    )
    SELECT c.team_id, c.operation_id, c.version, 0.0::double precision FROM claimed AS c
    UNION ALL
    SELECT NULL, NULL, NULL, (
        SELECT extract(epoch FROM min(w.due_at) - clock_timestamp())::double precision FROM audience_trigger AS w
         WHERE (w.state IN (operation_state('PENDING'), operation_state('RUNNING')) OR w.settled < w.handed)
           AND (NOT w.paused OR w.settled < w.handed))
     WHERE NOT EXISTS (SELECT FROM claimed)
$$;
