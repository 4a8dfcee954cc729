-- name: get_wallet
SELECT currency, balance_micros, updated_at FROM wallet WHERE team_id = :team_id

-- name: get_reserved
-- Found through the stints of senders, as all that is not settled.
SELECT COALESCE(sum(messages * price_micros), 0)::bigint FROM delivery
 WHERE stint_id = ANY (ARRAY(SELECT s.stint_id FROM sender_stint AS s))
   AND team_id = :team_id AND state >= send_state('ACCEPTED') AND channel = channel('WHATSAPP')

-- name: make_wallet
INSERT INTO wallet (team_id, currency, balance_micros, updated_at) VALUES (:team_id, :currency, 0, :now)
ON CONFLICT (team_id) DO NOTHING

-- name: hold_wallet
SELECT currency, balance_micros, last_sequence, updated_at FROM wallet WHERE team_id = :team_id FOR UPDATE

-- name: change_wallet
UPDATE wallet SET balance_micros = :balance_micros, last_sequence = :sequence, updated_at = :now WHERE team_id = :team_id

-- name: create_wallet_entry
INSERT INTO wallet_entry (team_id, sequence, amount_micros, balance_after_micros, note, created_at, currency)
VALUES (:team_id, :sequence, :amount_micros, :balance_micros, :note, :now, :currency)

-- name: keep_entries_currency
-- Of entries that have none of their own, before the wallet's changes.
UPDATE wallet_entry SET currency = :currency WHERE team_id = :team_id AND currency IS NULL

-- name: change_wallet_currency
UPDATE wallet SET currency = :currency, updated_at = :now WHERE team_id = :team_id

-- name: list_wallet_entries
SELECT e.sequence, e.amount_micros, e.balance_after_micros, e.note, e.created_at,
       COALESCE(e.currency, w.currency) AS currency
  FROM wallet_entry AS e JOIN wallet AS w USING (team_id)
 WHERE e.team_id = :team_id AND (:before_sequence::bigint IS NULL OR e.sequence < :before_sequence)
 ORDER BY e.sequence DESC LIMIT :most

-- name: get_plan_quota
SELECT q.message_limit, q.updated_at, COALESCE(u.used, 0) AS used
  FROM (SELECT :team_id::uuid AS team_id, :account_id::uuid AS account_id) AS a
  LEFT JOIN plan_quota AS q USING (team_id, account_id)
  LEFT JOIN plan_usage AS u ON (u.team_id, u.account_id, u.month) = (a.team_id, a.account_id, :month::date)

-- name: set_plan_quota
INSERT INTO plan_quota (team_id, account_id, message_limit, updated_at) VALUES (:team_id, :account_id, :message_limit, :now)
ON CONFLICT (team_id, account_id) DO UPDATE SET message_limit = EXCLUDED.message_limit, updated_at = EXCLUDED.updated_at

-- name: hold_channels
-- The channels of accounts, locked in the order of their ids.
SELECT account_id, channel FROM account
 WHERE team_id = :team_id AND account_id = ANY (:account_ids::uuid[]) AND NOT deleted ORDER BY account_id FOR UPDATE

-- name: set_plan_quotas
-- Of accounts, each once.
INSERT INTO plan_quota (team_id, account_id, message_limit, updated_at)
SELECT :team_id, s.account_id, s.message_limit, :now
  FROM unnest(:account_ids::uuid[], :message_limits::bigint[]) AS s (account_id, message_limit)
ON CONFLICT (team_id, account_id) DO UPDATE SET message_limit = EXCLUDED.message_limit, updated_at = EXCLUDED.updated_at

-- name: raise_plan_usage
INSERT INTO plan_usage AS u (team_id, account_id, month, used) VALUES (:team_id, :account_id, :month, :used)
ON CONFLICT (team_id, account_id, month) DO UPDATE SET used = GREATEST(u.used, EXCLUDED.used)

-- name: get_prices
SELECT channel, currency, micros FROM message_price WHERE team_id = :team_id

-- name: set_price
INSERT INTO message_price (team_id, channel, currency, micros) VALUES (:team_id, :channel, :currency, :micros)
ON CONFLICT (team_id, channel) DO UPDATE SET currency = EXCLUDED.currency, micros = EXCLUDED.micros

-- name: drop_price
DELETE FROM message_price WHERE team_id = :team_id AND channel = :channel

-- name: least_rest
SELECT channel, rest FROM least_rest(:month);
