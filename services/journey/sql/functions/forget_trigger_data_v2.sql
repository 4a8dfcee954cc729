-- Removes the data of triggers that occurred before a time and that their customers' actors have taken, `row_max` at most; of how many.
-- Teams that say themselves how long they keep them are `team_ids`, each with its own time of `before`. That there were data stays known.
-- It runs with its owner's rights, since no transaction is bound to all teams; it returns a number only.
CREATE OR REPLACE FUNCTION forget_trigger_data_v2(
    occurred_before timestamptz, team_ids uuid[], before timestamptz[], row_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    forgotten bigint;
BEGIN
    WITH RECURSIVE team (team_id) AS (
        (SELECT m.team_id FROM mail AS m WHERE m.data IS NOT NULL AND m.data <> '{}' ORDER BY m.team_id LIMIT 1)
        UNION ALL
        SELECT (SELECT m.team_id FROM mail AS m
                 WHERE m.data IS NOT NULL AND m.data <> '{}' AND m.team_id > t.team_id ORDER BY m.team_id LIMIT 1)
          FROM team AS t WHERE t.team_id IS NOT NULL
    ), old AS MATERIALIZED (
        SELECT o.partition, o.position
          FROM team AS t
          LEFT JOIN unnest(team_ids, forget_trigger_data_v2.before) AS own (team_id, before) ON own.team_id = t.team_id
         CROSS JOIN LATERAL (
            SELECT m.partition, m.position FROM mail AS m
             WHERE m.team_id = t.team_id AND m.occurred_at < COALESCE(own.before, occurred_before)
               AND m.data IS NOT NULL AND m.data <> '{}'
               AND EXISTS (
                    SELECT FROM actor AS a
                     WHERE a.partition = m.partition AND a.team_id = m.team_id AND a.customer_id = m.customer_id
                       AND a.taken_journey >= m.number)
             ORDER BY m.occurred_at LIMIT row_max FOR NO KEY UPDATE SKIP LOCKED
         ) AS o
         LIMIT row_max
    )
    UPDATE mail AS m SET data = '{}' FROM old AS o WHERE m.partition = o.partition AND m.position = o.position;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$;
