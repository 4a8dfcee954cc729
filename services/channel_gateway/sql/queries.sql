-- Rows are looked up by LATERAL, one index probe for each: for a plain join the planner may read all rows of the team, since
-- the policy's condition is an index condition, too. What is changed is locked so first, in the order of keys, and found
-- again by its place (ctid), which a lock holds still.

-- name: find_accounts
-- $1 teams, $2 account ids, $3 teams, $4 channels: the accounts named, and all of the channels named. Oldest first.
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, rate_per_second, concurrency_max,
       created_at, updated_at, version
  FROM account
 WHERE NOT deleted
   AND ((team_id, account_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        OR (team_id, channel) IN (SELECT * FROM unnest($3::uuid[], $4::smallint[])))
 ORDER BY created_at, account_id

-- name: find_modules
-- $1 teams, $2 ids
SELECT team_id, bot_module_id, name, cards, created_at, updated_at, version
  FROM bot_module
 WHERE NOT deleted AND (team_id, bot_module_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))

-- name: find_templates
-- $1 teams, $2 ids
SELECT team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count,
       created_at, updated_at, version
  FROM template
 WHERE NOT deleted AND (team_id, template_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))

-- name: find_known_sends
-- $1 teams, $2 effect keys
SELECT d.*
  FROM unnest($1::uuid[], $2::uuid[]) AS w (team_id, effect_key)
 CROSS JOIN LATERAL (
    SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, state, accepted, reason, messages,
           not_after
      FROM delivery
     WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key LIMIT 1
 ) AS d

-- name: find_inbound
-- $1 teams, $2 accounts, $3 external ids
SELECT i.*
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS w (team_id, account_id, external_id)
 CROSS JOIN LATERAL (
    SELECT account_id, external_id, last_at
      FROM inbound
     WHERE (inbound.team_id, inbound.account_id, inbound.external_id) = (w.team_id, w.account_id, w.external_id) LIMIT 1
 ) AS i

-- name: hold_stops
-- $1 teams, $2 journeys, without doubles. Makes the rows that are missing and holds all shared until the commit.
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS w (team_id, journey_id)
), made AS (
    INSERT INTO journey_stop (team_id, journey_id, epoch)
    SELECT w.team_id, w.journey_id, 0 FROM wanted AS w
     WHERE NOT EXISTS (SELECT FROM journey_stop AS s WHERE (s.team_id, s.journey_id) = (w.team_id, w.journey_id))
     ORDER BY 1, 2
    ON CONFLICT DO NOTHING
)
SELECT s.team_id, s.journey_id, s.epoch
  FROM journey_stop AS s JOIN wanted AS w USING (team_id, journey_id)
 ORDER BY s.team_id, s.journey_id
   FOR SHARE OF s

-- name: hold_usage
-- $1 teams, $2 journeys, $3 channels, in order and without doubles
INSERT INTO journey_usage AS u (team_id, journey_id, channel)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[]) ORDER BY 1, 2, 3
ON CONFLICT (team_id, journey_id, channel) DO UPDATE SET used = u.used
RETURNING team_id, journey_id, channel, used

-- name: hold_plan_usage
-- $1 teams, $2 accounts, $3 month: in order and without doubles
INSERT INTO plan_usage AS u (team_id, account_id, month)
SELECT w.team_id, w.account_id, $3::date FROM unnest($1::uuid[], $2::uuid[]) AS w (team_id, account_id) ORDER BY 1, 2
ON CONFLICT (team_id, account_id, month) DO UPDATE SET used = u.used
RETURNING team_id, account_id, used,
          (SELECT q.message_limit FROM plan_quota AS q WHERE (q.team_id, q.account_id) = (u.team_id, u.account_id))

-- name: hold_wallets
-- $1 teams
SELECT team_id, currency, balance_micros FROM wallet WHERE team_id = ANY ($1::uuid[]) ORDER BY team_id FOR UPDATE

-- name: find_prices
-- $1 teams
SELECT team_id, channel, currency, micros FROM message_price WHERE team_id = ANY ($1::uuid[])

-- name: add_usage
-- $1 teams, $2 journeys, $3 channels, $4 counts (negative gives back)
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[]) AS w (team_id, journey_id, channel, n)
), held AS (
    SELECT u.team_id, u.journey_id, u.channel, w.n
      FROM journey_usage AS u JOIN wanted AS w USING (team_id, journey_id, channel)
     ORDER BY 1, 2, 3 FOR UPDATE OF u
)
UPDATE journey_usage AS u SET used = u.used + h.n
  FROM held AS h WHERE (u.team_id, u.journey_id, u.channel) = (h.team_id, h.journey_id, h.channel)

-- name: add_plan_usage
-- $1 teams, $2 accounts, $3 months, $4 counts
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::bigint[]) AS w (team_id, account_id, month, n)
), held AS (
    SELECT u.team_id, u.account_id, u.month, w.n
      FROM plan_usage AS u JOIN wanted AS w USING (team_id, account_id, month)
     ORDER BY 1, 2, 3 FOR UPDATE OF u
)
UPDATE plan_usage AS u SET used = u.used + h.n
  FROM held AS h WHERE (u.team_id, u.account_id, u.month) = (h.team_id, h.account_id, h.month)

-- name: add_balance
-- $1 teams, $2 micros (negative takes), $3 now
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS w (team_id, micros)
), held AS (
    SELECT p.team_id, w.micros FROM wallet AS p JOIN wanted AS w USING (team_id) ORDER BY 1 FOR UPDATE OF p
)
UPDATE wallet AS p SET balance_micros = p.balance_micros + h.micros, updated_at = $3
  FROM held AS h WHERE p.team_id = h.team_id

-- name: store_sends
-- Columns in the order of the target list, ordered by key. A deferred send is taken up anew; any other known key is left
-- alone and not returned.
INSERT INTO delivery AS d (
    team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, state, accepted, reason,
    messages, price_micros, currency, capped, quota_month, stop_epoch, not_after, depth, recipient, parts, template_id,
    sender, created_at, settled_at)
SELECT w.*, $23::uuid, $24::timestamptz, CASE WHEN w.accepted THEN NULL ELSE $24::timestamptz END
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::smallint[], $8::uuid[],
              $9::smallint[], $10::boolean[], $11::text[], $12::integer[], $13::bigint[], $14::text[], $15::boolean[],
              $16::date[], $17::bigint[], $18::timestamptz[], $19::integer[], $20::text[], $21::bytea[],
              $22::uuid[])
       AS w (team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, state, accepted,
             reason, messages, price_micros, currency, capped, quota_month, stop_epoch, not_after, depth, recipient, parts,
             template_id)
 WHERE true  -- parts the select from the conflict clause
 ORDER BY 1, 2
ON CONFLICT (team_id, effect_key) DO UPDATE
   SET channel = EXCLUDED.channel, account_id = EXCLUDED.account_id, state = EXCLUDED.state,
       accepted = EXCLUDED.accepted, reason = EXCLUDED.reason, messages = EXCLUDED.messages,
       price_micros = EXCLUDED.price_micros, currency = EXCLUDED.currency, capped = EXCLUDED.capped,
       quota_month = EXCLUDED.quota_month, stop_epoch = EXCLUDED.stop_epoch, not_after = EXCLUDED.not_after,
       depth = EXCLUDED.depth, recipient = EXCLUDED.recipient, parts = EXCLUDED.parts,
       template_id = EXCLUDED.template_id, sender = EXCLUDED.sender,
       parts_sent = 0, message_ids = '{}', attempts = 0, first_attempt_at = NULL, next_attempt_at = NULL,
       doubtful = false, settled_at = EXCLUDED.settled_at
 WHERE d.state = 4
RETURNING effect_key

-- name: mark_sending
-- $1 teams, $2 effect keys, $3 sender. Those still ours and unsettled are marked, also if a commit of the same mark went
-- unheard; the others are not returned.
-- "state + 0", here and below: while statistics are young or few sends are under way, the index of unsettled sends looks
-- like the way to a single one, and each send of a batch then reads all that are under way.
WITH held AS (
    SELECT d.place
      FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS g (team_id, effect_key) ORDER BY 1, 2) AS w
     CROSS JOIN LATERAL (
        SELECT ctid AS place FROM delivery
         WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND state + 0 >= 8 AND sender = $3
           FOR UPDATE
     ) AS d
)
UPDATE delivery AS d
   SET state = 9, attempts = d.attempts + 1, first_attempt_at = COALESCE(d.first_attempt_at, clock_timestamp())
  FROM held AS h WHERE d.ctid = h.place
RETURNING d.effect_key

-- name: settle
-- $1 teams, $2 effect keys, $3 states, $4 reasons, $5 messages that count, $6 parts sent, $7 message ids joined by a line
-- feed, $8 sender, $9 now. Only those still ours and unsettled.
WITH held AS (
    SELECT w.*, d.place
      FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::integer[], $6::integer[],
                                 $7::text[])
                AS g (team_id, effect_key, state, reason, messages, parts_sent, message_ids) ORDER BY 1, 2) AS w
     CROSS JOIN LATERAL (
        SELECT ctid AS place FROM delivery
         WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND state + 0 >= 8 AND sender = $8
           FOR UPDATE
     ) AS d
)
UPDATE delivery AS d
   SET state = h.state, reason = h.reason, messages = h.messages, parts_sent = h.parts_sent, parts = NULL,
       message_ids = string_to_array(h.message_ids, E'\n'), settled_at = $9, next_attempt_at = NULL
  FROM held AS h WHERE d.ctid = h.place
RETURNING d.effect_key

-- name: postpone
-- $1 teams, $2 effect keys, $3 seconds until the next attempt, $4 parts sent, $5 message ids, $6 doubtful,
-- $7 attempts, $8 sender
WITH held AS (
    SELECT w.*, d.place
      FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::double precision[], $4::integer[], $5::text[], $6::boolean[],
                                 $7::integer[])
                AS g (team_id, effect_key, delay_s, parts_sent, message_ids, doubtful, attempts) ORDER BY 1, 2) AS w
     CROSS JOIN LATERAL (
        SELECT ctid AS place FROM delivery
         WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND state + 0 >= 8 AND sender = $8
           FOR UPDATE
     ) AS d
)
UPDATE delivery AS d
   SET state = 8, next_attempt_at = clock_timestamp() + make_interval(secs => h.delay_s), parts_sent = h.parts_sent,
       message_ids = string_to_array(h.message_ids, E'\n'), doubtful = h.doubtful, attempts = h.attempts
  FROM held AS h WHERE d.ctid = h.place
RETURNING d.effect_key

-- name: raise_stop
-- $1 team, $2 journey, $3 epoch; never lowered
INSERT INTO journey_stop AS s (team_id, journey_id, epoch) VALUES ($1, $2, $3)
ON CONFLICT (team_id, journey_id) DO UPDATE SET epoch = GREATEST(s.epoch, EXCLUDED.epoch)
RETURNING epoch

-- name: find_stopped
-- $1 team, $2 journey, $3 epoch: waiting sends that were decided before it, held for the cancelling
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, depth, stop_epoch,
       not_after, recipient, parts, template_id, price_micros, currency, capped, quota_month, attempts, parts_sent, message_ids,
       doubtful, sender, state, first_attempt_at, next_attempt_at, clock_timestamp() AS real_now
  FROM delivery
 WHERE team_id = $1 AND journey_id = $2 AND state = 8 AND stop_epoch < $3
 ORDER BY team_id, effect_key
 LIMIT 2000
   FOR UPDATE

-- name: take_over
-- $1 team, $2 journey, $3 epoch, $4 sender: makes the waiting sends of the stopped journey ours, whoever had them
UPDATE delivery SET sender = $4 WHERE team_id = $1 AND journey_id = $2 AND state = 8 AND stop_epoch < $3 AND sender <> $4

-- name: count_on_wire
-- $1 team, $2 journey, $3 epoch, $4 sender: sends marked for the wire, ours and those of other processes
SELECT count(*) FILTER (WHERE sender = $4) AS ours, count(*) FILTER (WHERE sender <> $4) AS others
  FROM delivery WHERE team_id = $1 AND journey_id = $2 AND state = 9 AND stop_epoch < $3

-- name: unsettled_senders
SELECT team_id, sender FROM unsettled_senders()

-- name: unsettled
SELECT pending, oldest FROM unsettled()

-- name: adopt
-- $1 dead sender, $2 ours, $3 most rows: makes sends of a process that is gone ours and gives them as they were. Rows of the
-- bound teams only.
WITH held AS (
    SELECT team_id, effect_key FROM delivery
     WHERE sender = $1 AND state >= 8 AND team_id = ANY ((SELECT platform.teams())::uuid[])
     ORDER BY team_id, effect_key LIMIT $3 FOR UPDATE
)
UPDATE delivery AS d
   SET sender = $2
  FROM held AS h WHERE (d.team_id, d.effect_key) = (h.team_id, h.effect_key)
RETURNING d.team_id, d.effect_key, d.customer_id, d.enrolment_id, d.journey_id, d.node_id, d.channel, d.account_id,
          d.depth, d.stop_epoch, d.not_after, d.recipient, d.parts, d.template_id, d.price_micros, d.currency, d.capped,
          d.quota_month, d.attempts, d.parts_sent, d.message_ids, d.doubtful, d.sender, d.state, d.first_attempt_at,
          d.next_attempt_at, clock_timestamp() AS real_now

-- name: unsettled_of
-- $1 sender, $2 teams
SELECT team_id, effect_key FROM delivery WHERE sender = $1 AND state >= 8 AND team_id = ANY ($2::uuid[])

-- name: readopt
-- $1 teams, $2 effect keys, $3 sender: own sends that memory lost, as they are
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, depth, stop_epoch,
       not_after, recipient, parts, template_id, price_micros, currency, capped, quota_month, attempts, parts_sent,
       message_ids, doubtful, sender, state, first_attempt_at, next_attempt_at, clock_timestamp() AS real_now
  FROM delivery
 WHERE team_id = ANY ($1::uuid[]) AND effect_key = ANY ($2::uuid[]) AND state >= 8 AND sender = $3

-- name: number_mail
-- $1 teams, $2 customers, $3 counts, without doubles: the first number of each
INSERT INTO customer_mail AS m (team_id, customer_id, last_number)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) ORDER BY 1, 2
ON CONFLICT (team_id, customer_id) DO UPDATE SET last_number = m.last_number + EXCLUDED.last_number
RETURNING team_id, customer_id, last_number

-- name: write_history
INSERT INTO history (
    partition, position, team_id, customer_id, kind, occurred_at, event_id, mail_number, depth, effect_key, enrolment_id,
    journey_id, node_id, channel, account_id, outcome, reason, messages, micros, currency)
SELECT * FROM unnest(
    $1::smallint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::smallint[], $6::timestamptz[], $7::uuid[], $8::bigint[],
    $9::integer[], $10::uuid[], $11::uuid[], $12::uuid[], $13::text[], $14::smallint[], $15::uuid[], $16::smallint[],
    $17::text[], $18::integer[], $19::bigint[], $20::text[])

-- name: history_teams
SELECT * FROM history_teams($1::smallint[], $2::bigint[], $3::integer)

-- name: read_history
-- $1 partitions, $2 after, $3 most rows a partition
SELECT h.* FROM unnest($1::smallint[], $2::bigint[]) AS cursor (partition, position)
 CROSS JOIN LATERAL (
    SELECT partition, position, team_id, customer_id, kind, occurred_at, event_id, mail_number, depth, effect_key,
           enrolment_id, journey_id, node_id, channel, account_id, outcome, reason, messages, micros, currency
      FROM history
     WHERE history.partition = cursor.partition AND history.position > cursor.position
     ORDER BY history.position LIMIT $3
 ) AS h
 ORDER BY h.partition, h.position

-- name: read_customer_mail
-- $1 team, $2 customer, $3 after number, $4 most rows
SELECT partition, position, team_id, customer_id, kind, occurred_at, event_id, mail_number, depth, effect_key,
       enrolment_id, journey_id, node_id, channel, account_id, outcome, reason, messages, micros, currency
  FROM history
 WHERE team_id = $1 AND customer_id = $2 AND mail_number > $3
 ORDER BY mail_number LIMIT $4

-- name: store_webhooks
-- Columns in the order of the target list; known ones are left alone and not returned.
INSERT INTO webhook_inbox (team_id, source, origin, webhook_id, body, digest, event_count, received_at, state)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::integer[],
                     $8::timestamptz[], $9::smallint[])
ON CONFLICT (team_id, source, origin, webhook_id) DO NOTHING
RETURNING team_id, source, origin, webhook_id

-- name: find_webhooks
-- $1 teams, $2 sources, $3 origins, $4 webhook ids
SELECT i.*
  FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[]) AS w (team_id, source, origin, webhook_id)
 CROSS JOIN LATERAL (
    SELECT team_id, source, origin, webhook_id, digest FROM webhook_inbox AS i
     WHERE (i.team_id, i.source, i.origin, i.webhook_id) = (w.team_id, w.source, w.origin, w.webhook_id) LIMIT 1
 ) AS i

-- name: stored_webhooks
SELECT sequence, team_id, event_count FROM stored_webhooks($1)

-- name: count_stored_events
SELECT COALESCE(sum(event_count), 0)::bigint FROM stored_webhooks($1)

-- name: read_webhooks
-- $1 sequences
SELECT sequence, team_id, source, origin, webhook_id, body, received_at FROM webhook_inbox
 WHERE sequence = ANY ($1::bigint[]) ORDER BY sequence

-- name: mark_webhooks
-- $1 sequences, $2 states
UPDATE webhook_inbox AS i SET state = w.state
  FROM unnest($1::bigint[], $2::smallint[]) AS w (sequence, state) WHERE i.sequence = w.sequence

-- name: keep_refusals
-- $1 teams, $2 sequences, $3 indexes, $4 reasons
INSERT INTO inbox_refusal (team_id, sequence, index, reason)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::text[])
ON CONFLICT (team_id, sequence, index) DO UPDATE SET reason = EXCLUDED.reason

-- name: find_shop_keys
-- $1 team, $2 shop, $3 now: keys of a shop that takes webhooks
SELECT k.secret FROM shop_key AS k JOIN shop AS s USING (team_id, shop_id)
 WHERE k.team_id = $1 AND k.shop_id = $2 AND s.enabled AND NOT s.deleted AND (k.expires_at IS NULL OR k.expires_at > $3)

-- name: set_account_state
-- $1 team, $2 account, $3 state, $4 reason, $5 now
UPDATE account SET state = $3, state_reason = $4, updated_at = $5, version = version + 1
 WHERE team_id = $1 AND account_id = $2 AND state = 1
RETURNING true

-- name: set_template_state
-- $1 team, $2 template, $3 state, $4 now
UPDATE template SET state = $3, updated_at = $4, version = version + 1
 WHERE team_id = $1 AND template_id = $2 AND state <> $3
RETURNING true

-- name: load_mail_cursors
SELECT partition, position FROM mail_cursor

-- name: save_mail_cursors
-- $1 partitions, $2 positions
UPDATE mail_cursor AS c SET position = GREATEST(c.position, w.position)
  FROM unnest($1::smallint[], $2::bigint[]) AS w (partition, position) WHERE c.partition = w.partition
