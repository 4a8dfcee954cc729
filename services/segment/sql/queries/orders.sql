-- Orders and their refunds, read for people.

-- name: get_order
-- An order whose place only is held is not there yet.
SELECT team_id, shop_id, order_id, order_key, customer_id, uncounted, occur_time, body FROM shop_order
 WHERE team_id = :team_id AND shop_id = :shop_id AND order_id = :order_id AND uncounted <> uncounted('ORDER_UNCOUNTED')

-- name: list_orders
-- `customer_id` may be null, `shop_id` empty; with the orders of those who were merged into the customer; `before_…` is the key of the last order seen.
SELECT team_id, shop_id, order_id, order_key, customer_id, uncounted, occur_time, body
  FROM shop_order
 WHERE team_id = :team_id
   AND (:customer_id::uuid IS NULL OR customer_id = ANY (ARRAY(
        SELECT :customer_id UNION ALL
        SELECT m.customer_id FROM merged_customer AS m WHERE m.team_id = :team_id AND m.survivor_id = :customer_id)))
   AND (:shop_id = '' OR shop_id = :shop_id) AND uncounted <> uncounted('ORDER_UNCOUNTED')
   AND occur_time >= :start_time AND occur_time < :end_time AND (occur_time, order_key) < (:before_time, :before_key)
 ORDER BY occur_time DESC, order_key DESC LIMIT :row_max

-- name: refunds_of_orders
SELECT r.team_id, r.shop_id, input.order_id, r.refund_key, r.customer_id, r.uncounted, r.occur_time, r.body
  FROM unnest(:shops::text[], :orders::text[]) AS input (shop_id, order_id)
 CROSS JOIN LATERAL (
    SELECT * FROM refund AS f
     WHERE f.team_id = :team_id AND f.shop_id = input.shop_id
       AND refund_order_id(f.body, f.shop_id, f.refund_id) = input.order_id
 ) AS r
 ORDER BY r.occur_time, r.refund_key

-- name: count_orders
-- Those of known customers that count.
SELECT (SELECT count(*) FROM shop_order AS o WHERE o.team_id = :team_id AND o.uncounted = uncounted('COUNTS') AND o.customer_id IS NOT NULL) AS orders,
       (SELECT count(*) FROM refund AS r WHERE r.team_id = :team_id AND r.uncounted = uncounted('COUNTS') AND r.customer_id IS NOT NULL) AS refunds
