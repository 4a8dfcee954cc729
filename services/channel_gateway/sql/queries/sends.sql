-- Rows are looked up by LATERAL, one index probe for each: for a plain join the planner may read all rows of the team, since
-- the policy's condition is an index condition, too. What is changed is locked first, in the order of keys, and found
-- again by its place (ctid), which a lock holds still, by a later statement: one that waited for the lock does not see the row there.

-- name: find_sends
SELECT d.*
  FROM unnest(:teams::uuid[], :effect_keys::uuid[]) AS w (team_id, effect_key)
 CROSS JOIN LATERAL (
    SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, state, accepted, reason, messages,
           not_after, stop_epoch, settled_at, parts_sent, message_ids, account_id, recipient, currency, price_micros,
           doubtful, extract(epoch FROM clock_timestamp() - first_attempt_at)::double precision AS age_s,
           CASE WHEN (parts_sent > 0 OR doubtful) AND state IN (send_state('DEFERRED'), send_state('CANCELLED')) THEN parts END AS parts
      FROM delivery
     WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key LIMIT 1
 ) AS d

-- name: find_inbound
SELECT i.*
  FROM unnest(:teams::uuid[], :account_ids::uuid[], :external_ids::text[]) AS w (team_id, account_id, external_id)
 CROSS JOIN LATERAL (
    SELECT account_id, external_id, last_at
      FROM inbound
     WHERE (inbound.team_id, inbound.account_id, inbound.external_id) = (w.team_id, w.account_id, w.external_id) LIMIT 1
 ) AS i

-- name: reserve_sends
SELECT reserve_sends_v3(:teams, :sender, :stint, :now, :premises, :places, :groups, :refusals, :re_reserve)

-- name: hold_stops
-- Locks the stop epochs of journeys shared until the commit, whatever they are. Keys in order, without doubles.
SELECT hold_stops_v2(:stops)

-- name: find_stops
SELECT s.*
  FROM unnest(:teams::uuid[], :journey_ids::uuid[]) AS w (team_id, journey_id)
 CROSS JOIN LATERAL (
    SELECT team_id, journey_id, epoch FROM journey_stop
     WHERE journey_stop.team_id = w.team_id AND journey_stop.journey_id = w.journey_id LIMIT 1
 ) AS s

-- name: hold_usage
-- Locks what journeys have taken under their caps. Keys in order, without doubles.
INSERT INTO journey_usage AS u (team_id, journey_id, channel)
SELECT * FROM unnest(:teams::uuid[], :journey_ids::uuid[], :channels::smallint[]) ORDER BY 1, 2, 3
ON CONFLICT (team_id, journey_id, channel) DO UPDATE SET used = u.used
RETURNING team_id, journey_id, channel, used

-- name: hold_plan_usage
-- Locks the usage of plans. Keys in order, without doubles.
INSERT INTO plan_usage AS u (team_id, account_id, month)
SELECT w.team_id, w.account_id, :month::date
  FROM unnest(:teams::uuid[], :account_ids::uuid[]) AS w (team_id, account_id)
 ORDER BY 1, 2
ON CONFLICT (team_id, account_id, month) DO UPDATE SET used = u.used
RETURNING team_id, account_id, used,
          (SELECT q.message_limit FROM plan_quota AS q WHERE (q.team_id, q.account_id) = (u.team_id, u.account_id))

-- name: hold_wallets
SELECT team_id, currency, balance_micros FROM wallet WHERE team_id = ANY (:teams::uuid[]) ORDER BY team_id FOR UPDATE
