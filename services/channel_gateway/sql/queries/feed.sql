-- name: read_history
SELECT * FROM history_page(:partitions, :positions, :most)

-- name: read_feed
-- Columns in the order of `libs.common.feeds.rows.GatewayRow`; ids as bytes, which cost the driver less than half.
SELECT partition, position, uuid_send(team_id) AS team, kind, occurred_at, uuid_send(effect_key) AS key,
       uuid_send(journey_id) AS journey, node_id, channel, outcome, reason, messages, micros, currency
  FROM history_page(:partitions, :positions, :most)

-- name: read_customer_mail
SELECT partition, position, team_id, customer_id, kind, occurred_at, event_id, mail_number, depth, effect_key,
       enrolment_id, journey_id, node_id, channel, account_id, outcome, reason, messages, micros, currency
  FROM history
 WHERE team_id = :team_id AND customer_id = :customer_id AND mail_number > :after_number
 ORDER BY mail_number LIMIT :most

-- name: load_mail_cursors
SELECT partition, position FROM mail_cursor

-- name: save_mail_cursors
UPDATE mail_cursor AS c SET position = GREATEST(c.position, w.position)
  FROM unnest(:partitions::smallint[], :positions::bigint[]) AS w (partition, position) WHERE c.partition = w.partition
