-- Removes the contents of settled deliveries of all teams that were accepted before a time, `row_max` at most; how many. One process at
-- a time. It runs with its owner's rights, since no transaction is bound to all teams; it returns a number only.
CREATE OR REPLACE FUNCTION forget_contents(accepted_before timestamptz, row_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    since timestamptz;
    forgotten bigint;
BEGIN
    SELECT p.pruned_until INTO since FROM content_pruning AS p FOR UPDATE SKIP LOCKED;
    IF since IS NULL OR since >= accepted_before THEN
        RETURN 0;
    END IF;
    -- Team by team, by the index of their deliveries by time.
    WITH RECURSIVE teams AS (
        (SELECT d.team_id FROM delivery AS d ORDER BY d.team_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.team_id FROM delivery AS d WHERE d.team_id > t.team_id ORDER BY d.team_id LIMIT 1) FROM teams AS t WHERE t.team_id IS NOT NULL
    ), old AS MATERIALIZED (
        SELECT o.team_id, o.effect_key
          FROM teams AS t
         CROSS JOIN LATERAL (
            SELECT d.team_id, d.effect_key FROM delivery AS d
             WHERE d.team_id = t.team_id AND d.created_at >= since AND d.created_at < accepted_before
               AND d.parts IS NOT NULL AND d.state < send_state('ACCEPTED')
             LIMIT row_max
         ) AS o
         LIMIT row_max
    ), held AS MATERIALIZED (
        SELECT d.team_id, d.effect_key
          FROM (SELECT old.team_id, old.effect_key FROM old ORDER BY 1, 2) AS o
         CROSS JOIN LATERAL (
            SELECT delivery.team_id, delivery.effect_key FROM delivery
             WHERE delivery.team_id = o.team_id AND delivery.effect_key = o.effect_key AND state < send_state('ACCEPTED')
               FOR NO KEY UPDATE
         ) AS d
    )
    UPDATE delivery AS d SET parts = NULL FROM held AS h WHERE d.team_id = h.team_id AND d.effect_key = h.effect_key;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    IF forgotten < row_max THEN
        UPDATE content_pruning SET pruned_until = accepted_before;
    END IF;
    RETURN forgotten;
END
$$;
