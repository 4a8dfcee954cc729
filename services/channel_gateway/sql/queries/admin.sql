-- name: create_account
INSERT INTO account (team_id, account_id, channel, display_name, connection, rate_per_second, concurrency_max, created_at,
                     updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
RETURNING team_id, account_id, channel, display_name, state, state_reason, connection, rate_per_second, concurrency_max,
          created_at, updated_at, version

-- name: get_account
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, rate_per_second, concurrency_max,
       created_at, updated_at, version
  FROM account WHERE team_id = $1 AND account_id = $2 AND NOT deleted

-- name: hold_account
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, rate_per_second, concurrency_max,
       created_at, updated_at, version
  FROM account WHERE team_id = $1 AND account_id = $2 AND NOT deleted FOR UPDATE

-- name: list_accounts
-- $1 team, $2 channel or 0, $3 and $4 last row shown, $5 rows
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, rate_per_second, concurrency_max,
       created_at, updated_at, version
  FROM account
 WHERE team_id = $1 AND NOT deleted AND ($2::smallint = 0 OR channel = $2)
   AND ($3::timestamptz IS NULL OR (created_at, account_id) > ($3, $4::uuid))
 ORDER BY created_at, account_id LIMIT $5

-- name: update_account
UPDATE account SET display_name = $3, state = $4, state_reason = $5, connection = $6, rate_per_second = $7,
       concurrency_max = $8, updated_at = $9, version = version + 1
 WHERE team_id = $1 AND account_id = $2
RETURNING team_id, account_id, channel, display_name, state, state_reason, connection, rate_per_second, concurrency_max,
          created_at, updated_at, version

-- name: delete_account
UPDATE account SET deleted = true, updated_at = $3, version = version + 1
 WHERE team_id = $1 AND account_id = $2 AND NOT deleted RETURNING true

-- name: delete_account_templates
UPDATE template SET deleted = true, updated_at = $3, version = version + 1
 WHERE team_id = $1 AND account_id = $2 AND NOT deleted RETURNING template_id

-- name: create_module
INSERT INTO bot_module (team_id, bot_module_id, name, cards, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
RETURNING team_id, bot_module_id, name, cards, created_at, updated_at, version

-- name: get_module
SELECT team_id, bot_module_id, name, cards, created_at, updated_at, version
  FROM bot_module WHERE team_id = $1 AND bot_module_id = $2 AND NOT deleted

-- name: hold_module
SELECT team_id, bot_module_id, name, cards, created_at, updated_at, version
  FROM bot_module WHERE team_id = $1 AND bot_module_id = $2 AND NOT deleted FOR UPDATE

-- name: list_modules
SELECT team_id, bot_module_id, name, cards, created_at, updated_at, version
  FROM bot_module
 WHERE team_id = $1 AND NOT deleted AND ($2::timestamptz IS NULL OR (created_at, bot_module_id) > ($2, $3::uuid))
 ORDER BY created_at, bot_module_id LIMIT $4

-- name: update_module
UPDATE bot_module SET name = $3, cards = $4, updated_at = $5, version = version + 1
 WHERE team_id = $1 AND bot_module_id = $2
RETURNING team_id, bot_module_id, name, cards, created_at, updated_at, version

-- name: delete_module
UPDATE bot_module SET deleted = true, updated_at = $3, version = version + 1
 WHERE team_id = $1 AND bot_module_id = $2 AND NOT deleted RETURNING true

-- name: create_template
INSERT INTO template (team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count,
                      created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
RETURNING team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, created_at,
          updated_at, version

-- name: get_template
SELECT team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, created_at,
       updated_at, version
  FROM template WHERE team_id = $1 AND template_id = $2 AND NOT deleted

-- name: hold_template
SELECT team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, created_at,
       updated_at, version
  FROM template WHERE team_id = $1 AND template_id = $2 AND NOT deleted FOR UPDATE

-- name: list_templates
-- $1 team, $2 account or null, $3 and $4 last row shown, $5 rows
SELECT team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, created_at,
       updated_at, version
  FROM template
 WHERE team_id = $1 AND NOT deleted AND ($2::uuid IS NULL OR account_id = $2)
   AND ($3::timestamptz IS NULL OR (created_at, template_id) > ($3, $4::uuid))
 ORDER BY created_at, template_id LIMIT $5

-- name: update_template
UPDATE template SET state = $3, category = $4, parameter_names = $5, parameter_count = $6, updated_at = $7,
       version = version + 1
 WHERE team_id = $1 AND template_id = $2
RETURNING team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, created_at,
          updated_at, version

-- name: delete_template
UPDATE template SET deleted = true, updated_at = $3, version = version + 1
 WHERE team_id = $1 AND template_id = $2 AND NOT deleted RETURNING true

-- name: get_wallet
SELECT currency, balance_micros, updated_at FROM wallet WHERE team_id = $1

-- name: get_reserved
SELECT COALESCE(sum(messages * price_micros), 0)::bigint FROM delivery
 WHERE team_id = $1 AND state >= 8 AND channel = 2

-- name: make_wallet
INSERT INTO wallet (team_id, currency, balance_micros, updated_at) VALUES ($1, $2, 0, $3) ON CONFLICT (team_id) DO NOTHING

-- name: hold_wallet
SELECT currency, balance_micros, last_sequence, updated_at FROM wallet WHERE team_id = $1 FOR UPDATE

-- name: change_wallet
UPDATE wallet SET balance_micros = $2, last_sequence = $3, updated_at = $4 WHERE team_id = $1

-- name: create_wallet_entry
INSERT INTO wallet_entry (team_id, sequence, amount_micros, balance_after_micros, note, created_at)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: list_wallet_entries
-- $1 team, $2 before sequence or null, $3 rows
SELECT e.sequence, e.amount_micros, e.balance_after_micros, e.note, e.created_at, w.currency
  FROM wallet_entry AS e JOIN wallet AS w USING (team_id)
 WHERE e.team_id = $1 AND ($2::bigint IS NULL OR e.sequence < $2)
 ORDER BY e.sequence DESC LIMIT $3

-- name: get_plan_quota
-- $1 team, $2 account, $3 month
SELECT q.message_limit, q.updated_at, COALESCE(u.used, 0) AS used
  FROM (SELECT $1::uuid AS team_id, $2::uuid AS account_id) AS a
  LEFT JOIN plan_quota AS q USING (team_id, account_id)
  LEFT JOIN plan_usage AS u ON (u.team_id, u.account_id, u.month) = (a.team_id, a.account_id, $3::date)

-- name: set_plan_quota
INSERT INTO plan_quota (team_id, account_id, message_limit, updated_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (team_id, account_id) DO UPDATE SET message_limit = EXCLUDED.message_limit, updated_at = EXCLUDED.updated_at

-- name: raise_plan_usage
-- $1 team, $2 account, $3 month, $4 used as the channel counts
INSERT INTO plan_usage AS u (team_id, account_id, month, used) VALUES ($1, $2, $3, $4)
ON CONFLICT (team_id, account_id, month) DO UPDATE SET used = GREATEST(u.used, EXCLUDED.used)

-- name: get_prices
SELECT channel, currency, micros FROM message_price WHERE team_id = $1

-- name: set_price
INSERT INTO message_price (team_id, channel, currency, micros) VALUES ($1, $2, $3, $4)
ON CONFLICT (team_id, channel) DO UPDATE SET currency = EXCLUDED.currency, micros = EXCLUDED.micros

-- name: drop_price
DELETE FROM message_price WHERE team_id = $1 AND channel = $2

-- name: get_delivery
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, state, reason, messages,
       price_micros, currency, attempts, message_ids, created_at, settled_at, receipt
  FROM delivery WHERE team_id = $1 AND effect_key = $2

-- name: list_deliveries
-- $1 team, $2 journey, $3 node, $4 customer, $5 states (null or empty: any), $6 and $7 last row shown, $8 rows
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, state, reason, messages,
       price_micros, currency, attempts, message_ids, created_at, settled_at, receipt
  FROM delivery
 WHERE team_id = $1 AND ($2::uuid IS NULL OR journey_id = $2) AND ($3 = '' OR node_id = $3)
   AND ($4::uuid IS NULL OR customer_id = $4) AND ($5::smallint[] IS NULL OR state = ANY ($5))
   AND ($6::timestamptz IS NULL OR (created_at, effect_key) < ($6, $7::uuid))
 ORDER BY created_at DESC, effect_key DESC LIMIT $8

-- name: get_send_figures
-- $1 team, $2 journey or null
SELECT channel, state, currency, count(*) AS sends, sum(messages)::bigint AS messages,
       sum(messages * price_micros)::bigint AS micros
  FROM delivery WHERE team_id = $1 AND ($2::uuid IS NULL OR journey_id = $2)
 GROUP BY channel, state, currency ORDER BY channel

-- name: get_journey_usage
SELECT channel, used FROM journey_usage WHERE team_id = $1 AND journey_id = $2 ORDER BY channel

-- name: create_shop
INSERT INTO shop (team_id, shop_id, display_name, enabled, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
RETURNING team_id, shop_id, display_name, enabled, created_at, updated_at, version

-- name: get_shop
SELECT team_id, shop_id, display_name, enabled, created_at, updated_at, version
  FROM shop WHERE team_id = $1 AND shop_id = $2 AND NOT deleted

-- name: hold_shop
SELECT team_id, shop_id, display_name, enabled, created_at, updated_at, version
  FROM shop WHERE team_id = $1 AND shop_id = $2 AND NOT deleted FOR UPDATE

-- name: list_shops
SELECT team_id, shop_id, display_name, enabled, created_at, updated_at, version
  FROM shop
 WHERE team_id = $1 AND NOT deleted AND ($2::timestamptz IS NULL OR (created_at, shop_id) > ($2, $3))
 ORDER BY created_at, shop_id LIMIT $4

-- name: update_shop
UPDATE shop SET display_name = $3, enabled = $4, updated_at = $5, version = version + 1
 WHERE team_id = $1 AND shop_id = $2
RETURNING team_id, shop_id, display_name, enabled, created_at, updated_at, version

-- name: delete_shop
UPDATE shop SET deleted = true, updated_at = $3, version = version + 1
 WHERE team_id = $1 AND shop_id = $2 AND NOT deleted RETURNING true

-- name: delete_shop_keys
DELETE FROM shop_key WHERE team_id = $1 AND shop_id = $2

-- name: count_shop_keys
SELECT count(*) FROM shop_key WHERE team_id = $1 AND shop_id = $2 AND (expires_at IS NULL OR expires_at > $3)

-- name: create_shop_key
INSERT INTO shop_key (team_id, shop_id, key_id, secret, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: list_shop_keys
SELECT team_id, shop_id, key_id, secret, created_at, expires_at FROM shop_key
 WHERE team_id = $1 AND shop_id = $2 AND ($3::timestamptz IS NULL OR (created_at, key_id) < ($3, $4::uuid))
 ORDER BY created_at DESC, key_id DESC LIMIT $5

-- name: expire_shop_key
UPDATE shop_key SET expires_at = $4 WHERE team_id = $1 AND shop_id = $2 AND key_id = $3 RETURNING true

-- name: list_inbox
-- $1 team, $2 state or 0, $3 origin or empty, $4 before sequence or null, $5 rows
SELECT sequence, source, team_id, origin, webhook_id, event_count, received_at, state FROM webhook_inbox
 WHERE team_id = $1 AND ($2::smallint = 0 OR state = $2) AND ($3 = '' OR origin = $3)
   AND ($4::bigint IS NULL OR sequence < $4)
 ORDER BY sequence DESC LIMIT $5

-- name: get_inbox
SELECT sequence, source, team_id, origin, webhook_id, body, event_count, received_at, state FROM webhook_inbox
 WHERE team_id = $1 AND sequence = $2

-- name: get_refusals
SELECT sequence, index, reason FROM inbox_refusal WHERE team_id = $1 AND sequence = ANY ($2::bigint[]) ORDER BY 1, 2

-- name: restore_inbox
UPDATE webhook_inbox SET state = 1 WHERE team_id = $1 AND sequence = $2 AND state = 3 RETURNING true

-- name: drop_refusals
DELETE FROM inbox_refusal WHERE team_id = $1 AND sequence = $2
