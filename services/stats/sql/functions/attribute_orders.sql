-- Takes up clicks, orders and refunds, in whatever order they are read, and counts each order that they concern for the journey of the
-- last click before it, within the window that the order was read with. In the transaction that moves the cursors. What an order was counted for
-- before is taken back, so that clicks and orders, which come by two histories, come to the same whichever is read first. `metrics` are
-- those of orders and revenue.
CREATE OR REPLACE FUNCTION attribute_orders(
    clicks journey_click_row[], orders shop_order_row[], refunds order_refund_row[], order_metric smallint, revenue_metric smallint
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    grown counter_row[];
BEGIN
    PERFORM platform.bind(ARRAY(
        SELECT c.team_id FROM unnest(clicks) AS c UNION SELECT o.team_id FROM unnest(orders) AS o
        UNION SELECT r.team_id FROM unnest(refunds) AS r));
    -- The readers of clicks and of orders take turns: neither judges by what the other has not committed yet.
    PERFORM pg_advisory_xact_lock(hashtextextended('stats.attribution', 0));
    INSERT INTO journey_click (team_id, customer_id, clicked_at, journey_id, node_id, channel)
    SELECT c.* FROM unnest(clicks) AS c ON CONFLICT DO NOTHING;
    INSERT INTO shop_order AS s (team_id, order_key, customer_id, ordered_at, amount_micros, currency, uncounted, click_window)
    SELECT DISTINCT ON (o.team_id, o.order_key) o.team_id, o.order_key, o.customer_id, o.ordered_at, o.amount_micros, o.currency,
           o.uncounted, o.click_window
      FROM unnest(orders) AS o
     ORDER BY o.team_id, o.order_key, o.uncounted
    ON CONFLICT (team_id, order_key) DO UPDATE
       SET customer_id = EXCLUDED.customer_id, ordered_at = EXCLUDED.ordered_at, amount_micros = EXCLUDED.amount_micros,
           currency = EXCLUDED.currency, uncounted = EXCLUDED.uncounted, click_window = EXCLUDED.click_window
     WHERE s.customer_id IS NULL;
    INSERT INTO shop_order AS s (team_id, order_key, currency, refunded_micros)
    SELECT r.team_id, r.order_key, min(r.currency), sum(r.micros) FROM unnest(refunds) AS r GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (team_id, order_key) DO UPDATE SET refunded_micros = s.refunded_micros + EXCLUDED.refunded_micros;
    WITH concerned AS (
        SELECT o.team_id, o.order_key FROM unnest(orders) AS o
        UNION SELECT r.team_id, r.order_key FROM unnest(refunds) AS r
        UNION SELECT s.team_id, s.order_key
                FROM unnest(clicks) AS c
                JOIN shop_order AS s ON s.team_id = c.team_id AND s.customer_id = c.customer_id AND s.ordered_at >= c.clicked_at
    ), judged AS (
        SELECT s.*, k.journey_id AS new_journey_id, COALESCE(k.node_id, '') AS new_node_id, COALESCE(k.channel, 0) AS new_channel,
               k.clicked_at AS new_clicked_at,
               CASE WHEN k.journey_id IS NULL THEN 0 ELSE GREATEST(s.amount_micros - s.refunded_micros, 0) END AS new_micros
          FROM concerned JOIN shop_order AS s USING (team_id, order_key)
          LEFT JOIN LATERAL (
            SELECT c.journey_id, c.node_id, c.channel, c.clicked_at
              FROM journey_click AS c
             WHERE c.team_id = s.team_id AND c.customer_id = s.customer_id
               AND c.clicked_at <= s.ordered_at AND c.clicked_at >= s.ordered_at - s.click_window
             ORDER BY c.clicked_at DESC, c.journey_id, c.node_id, c.channel LIMIT 1
          ) AS k ON true
         WHERE s.customer_id IS NOT NULL
    ), changed AS (
        UPDATE shop_order AS s
           SET journey_id = j.new_journey_id, node_id = j.new_node_id, channel = j.new_channel, clicked_at = j.new_clicked_at,
               counted_micros = j.new_micros
          FROM judged AS j
         WHERE s.team_id = j.team_id AND s.order_key = j.order_key
           AND (j.journey_id, j.node_id, j.channel, j.clicked_at, j.counted_micros)
               IS DISTINCT FROM (j.new_journey_id, j.new_node_id, j.new_channel, j.new_clicked_at, j.new_micros)
        RETURNING j.*, to_timestamp(floor(extract(epoch FROM j.ordered_at) / 900) * 900) AS quarter
    ), deltas AS (
        SELECT team_id, journey_id, order_metric AS metric, node_id, channel, '' AS currency, quarter, -1::bigint AS delta FROM changed
         UNION ALL SELECT team_id, journey_id, revenue_metric, node_id, channel, currency, quarter, -counted_micros FROM changed
         UNION ALL SELECT team_id, new_journey_id, order_metric, new_node_id, new_channel, '', quarter, 1 FROM changed
         UNION ALL SELECT team_id, new_journey_id, revenue_metric, new_node_id, new_channel, currency, quarter, new_micros FROM changed
    ), summed AS (
        SELECT team_id, journey_id, metric, node_id, channel, currency, quarter, sum(delta)::bigint AS delta
          FROM deltas WHERE journey_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING sum(delta) <> 0
    )
    SELECT array_agg(ROW(summed.*)::counter_row) INTO grown FROM summed;
    INSERT INTO counter AS c (team_id, journey_id, metric, node_id, channel, currency, quarter, value)
    SELECT g.* FROM unnest(grown) AS g ORDER BY 1, 2, 7, 3, 4, 5, 6
    ON CONFLICT (team_id, journey_id, quarter, metric, node_id, channel, currency) DO UPDATE SET value = c.value + EXCLUDED.value;
    INSERT INTO total AS t (team_id, journey_id, metric, node_id, channel, currency, value)
    SELECT g.team_id, g.journey_id, g.metric, g.node_id, g.channel, g.currency, sum(g.delta) FROM unnest(grown) AS g
     GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (team_id, journey_id, metric, node_id, channel, currency) DO UPDATE SET value = t.value + EXCLUDED.value;
END
$$;
