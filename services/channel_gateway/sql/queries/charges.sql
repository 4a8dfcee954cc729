-- name: list_charges
-- What settled sends cost and what was given back, newest first, up to and without a place: the time, the key, and 1 for a charge, 2
-- for a refund. Filters that are null or 0 hold for all.
SELECT c.effect_key, c.channel, c.journey_id, c.messages, c.micros, c.currency, c.charged_at, c.kind
  FROM (
    (SELECT effect_key, channel, journey_id, messages, messages * price_micros AS micros, currency, created_at AS charged_at, 1 AS kind
       FROM delivery
      WHERE team_id = :team_id AND state < send_state('ACCEPTED') AND messages > 0 AND price_micros > 0
        AND (:channel::smallint = 0 OR channel = :channel) AND (:journey_id::uuid IS NULL OR journey_id = :journey_id)
        AND (:start_time::timestamptz IS NULL OR created_at >= :start_time)
        AND (:before_time::timestamptz IS NULL OR (created_at, effect_key, 1) < (:before_time, :before_key::uuid, :before_kind::integer))
      ORDER BY created_at DESC, effect_key DESC LIMIT :most)
    UNION ALL
    (SELECT effect_key, channel, journey_id, -messages, -micros, currency, refunded_at, 2
       FROM message_refund
      WHERE team_id = :team_id
        AND (:channel::smallint = 0 OR channel = :channel) AND (:journey_id::uuid IS NULL OR journey_id = :journey_id)
        AND (:start_time::timestamptz IS NULL OR refunded_at >= :start_time)
        AND (:before_time::timestamptz IS NULL OR (refunded_at, effect_key, 2) < (:before_time, :before_key::uuid, :before_kind::integer))
      ORDER BY refunded_at DESC, effect_key DESC LIMIT :most)
  ) AS c
 ORDER BY c.charged_at DESC, c.effect_key DESC, c.kind DESC LIMIT :most

-- name: note_refunds_due
-- Prepaid sends only; one that was given back is not again.
INSERT INTO refund_due (team_id, effect_key, told_at)
SELECT :team_id, k.effect_key, :now FROM unnest(:effect_keys::uuid[]) AS k (effect_key)
 WHERE NOT EXISTS (SELECT FROM message_refund AS r WHERE r.team_id = :team_id AND r.effect_key = k.effect_key)
ON CONFLICT (team_id, effect_key) DO NOTHING

-- name: find_refunds_due
SELECT team_id, effect_key FROM refunds_due(:most)

-- name: take_refunds
-- Sends that are due become refunds, whichever process is first. What they cost in another currency than the wallet's goes nowhere.
WITH due AS (
    DELETE FROM refund_due AS r WHERE r.team_id = :team_id AND r.effect_key = ANY (:effect_keys::uuid[]) RETURNING r.effect_key
)
INSERT INTO message_refund (team_id, effect_key, journey_id, channel, messages, micros, currency, refunded_at)
SELECT d.team_id, d.effect_key, d.journey_id, d.channel, d.messages, d.messages * d.price_micros, d.currency, :now
  FROM due CROSS JOIN LATERAL (
    SELECT delivery.* FROM delivery WHERE delivery.team_id = :team_id AND delivery.effect_key = due.effect_key LIMIT 1
  ) AS d
 WHERE d.state < send_state('ACCEPTED') AND d.messages > 0 AND d.price_micros > 0 AND d.currency = :currency
ON CONFLICT (team_id, effect_key) DO NOTHING
RETURNING micros

-- name: pay_into_wallet
UPDATE wallet SET balance_micros = balance_micros + :micros, updated_at = :now WHERE team_id = :team_id

-- name: get_balance_alert
SELECT a.threshold_micros, a.currency, a.version, COALESCE(w.balance_micros, 0) AS balance_micros
  FROM balance_alert AS a LEFT JOIN wallet AS w USING (team_id) WHERE a.team_id = :team_id

-- name: make_balance_alert
INSERT INTO balance_alert (team_id, currency, updated_at) VALUES (:team_id, :currency, :now) ON CONFLICT (team_id) DO NOTHING

-- name: hold_balance_alert
SELECT version FROM balance_alert WHERE team_id = :team_id FOR UPDATE

-- name: set_balance_alert
UPDATE balance_alert SET threshold_micros = :threshold_micros, currency = :currency, fired = false, version = version + 1, updated_at = :now
 WHERE team_id = :team_id

-- name: find_balance_crossings
SELECT t.team_id FROM balance_crossings(:most) AS t (team_id)

-- name: cross_balance
-- Whether the team's balance is below now, where that is not told yet: the process that changes the row tells it.
UPDATE balance_alert AS a SET fired = NOT a.fired
  FROM (SELECT COALESCE((SELECT w.balance_micros FROM wallet AS w WHERE w.team_id = :team_id), 0) AS micros) AS b
 WHERE a.team_id = :team_id AND a.fired <> COALESCE(b.micros < a.threshold_micros, false)
RETURNING a.fired, b.micros AS balance_micros, a.threshold_micros, a.currency
