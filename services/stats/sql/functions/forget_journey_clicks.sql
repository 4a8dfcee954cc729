-- Removes clicks of all teams that are older than a time, `row_max` at most; how many. Those stay that an order is counted by: a refund
-- of it looks for them again. It runs with its owner's rights, since no transaction is bound to all teams; it returns a number only.
CREATE OR REPLACE FUNCTION forget_journey_clicks(clicked_before timestamptz, row_max integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    WITH gone AS (
        DELETE FROM journey_click AS c
         WHERE c.ctid = ANY (ARRAY(
            SELECT o.ctid FROM journey_click AS o
             WHERE o.clicked_at < clicked_before
               AND NOT EXISTS (
                SELECT FROM shop_order AS s
                 WHERE s.team_id = o.team_id AND s.customer_id = o.customer_id AND s.ordered_at >= o.clicked_at
                   AND s.clicked_at = o.clicked_at AND s.journey_id = o.journey_id
               )
             ORDER BY o.clicked_at LIMIT row_max FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
