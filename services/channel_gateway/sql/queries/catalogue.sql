-- name: team_accounts
-- All accounts of the teams, deleted ones, too, oldest first.
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, sealed, rate_per_second, concurrency_max,
       created_at, updated_at, version, deleted
  FROM account WHERE team_id = ANY (:teams::uuid[])
 ORDER BY created_at, account_id

-- name: find_modules
SELECT team_id, bot_module_id, name, cards, created_at, updated_at, version
  FROM bot_module
 WHERE NOT deleted AND (team_id, bot_module_id) IN (SELECT * FROM unnest(:teams::uuid[], :bot_module_ids::uuid[]))

-- name: find_templates
SELECT team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, shape, rejected_reason,
       created_at, updated_at, version
  FROM template
 WHERE NOT deleted AND (team_id, template_id) IN (SELECT * FROM unnest(:teams::uuid[], :template_ids::uuid[]))

-- name: find_prices
SELECT team_id, channel, currency, micros FROM message_price WHERE team_id = ANY (:teams::uuid[])
