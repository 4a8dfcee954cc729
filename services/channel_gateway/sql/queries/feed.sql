-- name: read_old_facts
-- What the release before wrote, by partition.
SELECT * FROM old_facts_page(:partitions, :positions, :most)

-- name: read_records
SELECT * FROM history_record_page(:shards, :positions, :most)

-- name: feed_old_facts
-- Columns in the order of `libs.common.feeds.rows.GatewayRow`; ids as bytes, which cost the driver less than half.
SELECT partition, position, uuid_send(team_id) AS team, kind, occurred_at, uuid_send(effect_key) AS key,
       uuid_send(journey_id) AS journey, node_id, channel, outcome, reason, messages, micros, currency, ''::bytea AS body,
       coalesce(uuid_send(customer_id), '') AS customers
  FROM old_facts_page(:partitions, :positions, :most)

-- name: feed_records
-- The same for records, of kind 5, which have a body and nothing else.
SELECT shard AS partition, position, uuid_send(team_id) AS team, 5 AS number, timestamptz 'epoch' AS occurred_at, NULL::bytea AS key,
       NULL::bytea AS journey, NULL::text AS node_id, NULL::smallint AS channel, NULL::smallint AS outcome, ''::text AS reason,
       0 AS messages, 0 AS micros, ''::text AS currency, body, array_send(customers) AS customers
  FROM history_record_page(:shards, :positions, :most)

-- name: feed_content_records
-- The same for records of content that is gone; then, for each shard with anything new, a row without team: how far it was looked at.
SELECT shard AS partition, position, uuid_send(team_id) AS team, 5 AS number, timestamptz 'epoch' AS occurred_at, NULL::bytea AS key,
       NULL::bytea AS journey, NULL::text AS node_id, NULL::smallint AS channel, NULL::smallint AS outcome, ''::text AS reason,
       0 AS messages, 0 AS micros, ''::text AS currency, body, array_send('{}'::uuid[]) AS customers
  FROM content_record_page(:shards, :positions, :most)

-- name: open_shards
-- Up to where the partitions of each shard hold facts of the release before, which writes no more of them from now on.
SELECT shard, old_end FROM open_shards(:shards)

-- name: read_customer_records
SELECT * FROM customer_records(:team_id, :customer_id, :shard, :after_number, :most)

-- name: read_old_customer_mail
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
