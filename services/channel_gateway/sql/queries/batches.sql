-- Rows are looked up by LATERAL, one index probe for each: for a plain join the planner may read all rows of the team, since
-- the policy's condition is an index condition, too. What is changed is locked so first, in the order of keys, and found
-- again by its place (ctid), which a lock holds still.

-- name: find_accounts
-- $1 teams, $2 account ids
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, rate_per_second, concurrency_max,
       created_at, updated_at, version
  FROM account
 WHERE NOT deleted AND (team_id, account_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))

-- name: team_accounts
-- $1 teams: all of their accounts, deleted ones, too, oldest first
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, rate_per_second, concurrency_max,
       created_at, updated_at, version, deleted
  FROM account WHERE team_id = ANY ($1::uuid[])
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

-- name: reserve_sends
-- See the function.
SELECT reserve_sends($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55)

-- name: hold_stops
-- $1 teams, $2 journeys, in order and without doubles: held shared until the commit, whatever their epochs
SELECT hold_stops($1::uuid[], $2, array_fill(9223372036854775807, ARRAY[cardinality($1::uuid[])]))

-- name: find_stops
-- $1 teams, $2 journeys
SELECT s.*
  FROM unnest($1::uuid[], $2::uuid[]) AS w (team_id, journey_id)
 CROSS JOIN LATERAL (
    SELECT team_id, journey_id, epoch FROM journey_stop
     WHERE journey_stop.team_id = w.team_id AND journey_stop.journey_id = w.journey_id LIMIT 1
 ) AS s

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

-- name: mark_sends
-- See the function.
SELECT mark_sends($1, $2, $3, $4)

-- name: postpone_sends
-- See the function.
SELECT postpone_sends($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: settle_sends
-- See the function.
SELECT places, mail_numbers, positions FROM settle_sends($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: raise_stop
-- $1 team, $2 journey, $3 epoch; never lowered
INSERT INTO journey_stop AS s (team_id, journey_id, epoch) VALUES ($1, $2, $3)
ON CONFLICT (team_id, journey_id) DO UPDATE SET epoch = GREATEST(s.epoch, EXCLUDED.epoch)
RETURNING epoch

-- name: find_stopped
-- $1 team, $2 journey, $3 epoch: waiting sends that were decided before it, held for the cancelling
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, channel, account_id, depth, stop_epoch, not_after,
       recipient, parts, template_id, attempts, parts_sent, message_ids, doubtful, state, first_attempt_at,
       next_attempt_at, clock_timestamp() AS real_now
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
-- $1 dead sender, $2 ours, $3 most rows: makes sends of a process that is gone ours and gives them as they were, except that
-- one that was marked for the wire is doubtful from now on. Rows of the bound teams only.
WITH held AS (
    SELECT team_id, effect_key FROM delivery
     WHERE sender = $1 AND state >= 8 AND team_id = ANY ((SELECT platform.teams())::uuid[])
     ORDER BY team_id, effect_key LIMIT $3 FOR UPDATE
)
UPDATE delivery AS d
   SET sender = $2, doubtful = d.doubtful OR d.state = 9
  FROM held AS h WHERE (d.team_id, d.effect_key) = (h.team_id, h.effect_key)
RETURNING d.team_id, d.effect_key, d.customer_id, d.enrolment_id, d.journey_id, d.channel, d.account_id, d.depth,
          d.stop_epoch, d.not_after, d.recipient, d.parts, d.template_id, d.attempts, d.parts_sent, d.message_ids,
          d.doubtful, d.state, d.first_attempt_at, d.next_attempt_at, clock_timestamp() AS real_now

-- name: unsettled_of
-- $1 sender, $2 teams, $3 accounts to be left out
SELECT team_id, effect_key FROM delivery
 WHERE sender = $1 AND state >= 8 AND team_id = ANY ($2::uuid[])
   AND (account_id IS NULL OR account_id <> ALL ($3::uuid[]))

-- name: left_of
-- $1 team, $2 account, $3 sender, $4 effect keys to be left out, $5 most rows: own sends that wait, as they are
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, channel, account_id, depth, stop_epoch, not_after,
       recipient, parts, template_id, attempts, parts_sent, message_ids, doubtful, state, first_attempt_at,
       next_attempt_at, clock_timestamp() AS real_now
  FROM delivery AS d
 WHERE team_id = $1 AND account_id = $2 AND sender = $3 AND state = 8
   AND NOT EXISTS (SELECT FROM unnest($4::uuid[]) AS h (effect_key) WHERE h.effect_key = d.effect_key)
 LIMIT $5

-- name: readopt
-- $1 teams, $2 effect keys, $3 sender: own sends that memory lost, as they are
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, channel, account_id, depth, stop_epoch, not_after,
       recipient, parts, template_id, attempts, parts_sent, message_ids, doubtful, state, first_attempt_at,
       next_attempt_at, clock_timestamp() AS real_now
  FROM delivery
 WHERE team_id = ANY ($1::uuid[]) AND effect_key = ANY ($2::uuid[]) AND state >= 8 AND sender = $3

-- name: read_history
-- $1 partitions, $2 after, $3 most rows
SELECT * FROM history_page($1, $2, $3)

-- name: write_history
-- Facts of content: $1 partitions, $2 teams, $3 kinds, $4 times, $5 event ids, $6 content ids, $7 outcomes, $8 reasons. The
-- places that they take.
WITH given AS (
    SELECT * FROM unnest($2::uuid[], $3::smallint[], $4::timestamptz[], $5::uuid[], $6::uuid[], $7::smallint[], $8::text[],
                         $1::smallint[], allocate_positions($1))
           AS g (team_id, kind, occurred_at, event_id, content_id, outcome, reason, partition, position)
)
INSERT INTO history (partition, position, team_id, kind, occurred_at, event_id, effect_key, outcome, reason)
SELECT partition, position, team_id, kind, occurred_at, event_id, content_id, outcome, reason FROM given
RETURNING partition, position

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

-- name: webhook_sizes
-- $1 sequences
SELECT sequence, octet_length(body) AS size FROM webhook_inbox
 WHERE sequence = ANY ($1::bigint[]) ORDER BY sequence

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
