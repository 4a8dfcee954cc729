-- Removes the data of triggers of all teams that occurred before a time and that their customers' actors have taken, `row_max` at most; of how
-- many. That there were data stays known. It runs with its owner's rights, since no transaction is bound to all teams; it returns a
-- number only.
CREATE OR REPLACE FUNCTION forget_trigger_data(occurred_before timestamptz, row_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    forgotten bigint;
BEGIN
    WITH old AS MATERIALIZED (
        SELECT m.partition, m.position FROM mail AS m
         WHERE m.occurred_at < occurred_before AND m.data IS NOT NULL AND m.data <> '{}'
           AND EXISTS (
                SELECT FROM actor AS a
                 WHERE a.partition = m.partition AND a.team_id = m.team_id AND a.customer_id = m.customer_id
                   AND a.taken_journey >= m.number)
         ORDER BY m.occurred_at LIMIT row_max FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE mail AS m SET data = '{}' FROM old AS o WHERE m.partition = o.partition AND m.position = o.position;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$;
