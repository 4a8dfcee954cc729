-- name: get_delivery
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, state, reason, messages,
       price_micros, currency, attempts, message_ids, created_at, settled_at, receipt
  FROM delivery WHERE team_id = :team_id AND effect_key = :effect_key

-- name: get_delivery_content
SELECT effect_key, parts FROM delivery WHERE team_id = :team_id AND effect_key = :effect_key

-- name: forget_contents
SELECT forget_contents_v2(:others, :teams, :before, :row_max)

-- name: list_deliveries
-- Filters that are null or empty hold for all; `reasons` are the only ones if `is_one`, else all but these. With those of
-- who was merged into the customer. Newest first.
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, state, reason, messages,
       price_micros, currency, attempts, message_ids, created_at, settled_at, receipt
  FROM delivery
 WHERE team_id = :team_id AND (:journey_id::uuid IS NULL OR journey_id = :journey_id)
   AND (:node_id = '' OR node_id = :node_id)
   AND (:customer_id::uuid IS NULL OR customer_id = ANY (ARRAY(
        SELECT :customer_id UNION ALL
        SELECT m.customer_id FROM merged_customer AS m WHERE m.team_id = :team_id AND m.survivor_id = :customer_id)))
   AND (:states::smallint[] IS NULL OR state = ANY (:states))
   AND (:channel::smallint = 0 OR channel = :channel) AND (:reasons::text[] IS NULL OR (reason = ANY (:reasons)) = :is_one)
   AND (:start_time::timestamptz IS NULL OR created_at >= :start_time)
   AND (:after_time::timestamptz IS NULL OR (created_at, effect_key) < (:after_time, :after_key::uuid))
 ORDER BY created_at DESC, effect_key DESC LIMIT :most

-- name: get_send_figures
-- Of sends that are not settled, what left before they were put off. Without tests.
SELECT channel, state, currency, receipt, count(*) AS sends, sum(reported.messages)::bigint AS messages,
       sum(reported.messages * price_micros)::bigint AS micros
  FROM delivery CROSS JOIN LATERAL (
    SELECT CASE WHEN state >= send_state('ACCEPTED') THEN messages_reported ELSE delivery.messages END AS messages
  ) AS reported
 WHERE team_id = :team_id AND (:journey_id::uuid IS NULL OR journey_id = :journey_id)
   AND NOT (journey_id = '00000000-0000-0000-0000-000000000000' AND node_id = 'test')
 GROUP BY channel, state, currency, receipt ORDER BY channel

-- name: get_refund_figures
-- Without tests.
SELECT r.channel, r.currency, sum(r.micros)::bigint AS micros
  FROM message_refund AS r
 WHERE r.team_id = :team_id AND (:journey_id::uuid IS NULL OR r.journey_id = :journey_id)
   AND NOT EXISTS (
        SELECT FROM delivery AS d
         WHERE r.journey_id = '00000000-0000-0000-0000-000000000000' AND d.team_id = r.team_id AND d.effect_key = r.effect_key
           AND d.node_id = 'test')
 GROUP BY r.channel, r.currency ORDER BY r.channel, r.currency

-- name: get_journey_usage
SELECT channel, used FROM journey_usage WHERE team_id = :team_id AND journey_id = :journey_id ORDER BY channel
