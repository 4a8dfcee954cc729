-- name: find_accounts
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, sealed, rate_per_second, concurrency_max,
       created_at, updated_at, version
  FROM account
 WHERE NOT deleted AND (team_id, account_id) IN (SELECT * FROM unnest(:teams::uuid[], :account_ids::uuid[]))

-- name: create_account
INSERT INTO account (team_id, account_id, channel, display_name, connection, sealed, rate_per_second, concurrency_max,
                     created_at, updated_at)
VALUES (:team_id, :account_id, :channel, :display_name, :connection, :sealed, :rate_per_second, :concurrency_max, :now, :now)
RETURNING team_id, account_id, channel, display_name, state, state_reason, connection, sealed, rate_per_second, concurrency_max,
          created_at, updated_at, version

-- name: get_account
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, sealed, rate_per_second, concurrency_max,
       created_at, updated_at, version
  FROM account WHERE team_id = :team_id AND account_id = :account_id AND NOT deleted

-- name: hold_account
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, sealed, rate_per_second, concurrency_max,
       created_at, updated_at, version
  FROM account WHERE team_id = :team_id AND account_id = :account_id AND NOT deleted FOR UPDATE

-- name: list_accounts
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, sealed, rate_per_second, concurrency_max,
       created_at, updated_at, version
  FROM account
 WHERE team_id = :team_id AND NOT deleted AND (:channel::smallint = 0 OR channel = :channel)
   AND (:after_time::timestamptz IS NULL OR (created_at, account_id) > (:after_time, :after_id::uuid))
 ORDER BY created_at, account_id LIMIT :most

-- name: update_account
UPDATE account SET display_name = :display_name, state = :state, state_reason = :state_reason, connection = :connection,
       sealed = CASE WHEN :shut::boolean THEN sealed ELSE :sealed END, rate_per_second = :rate_per_second,
       concurrency_max = :concurrency_max, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND account_id = :account_id
RETURNING team_id, account_id, channel, display_name, state, state_reason, connection, sealed, rate_per_second, concurrency_max,
          created_at, updated_at, version

-- name: delete_account
-- Its secrets go at once: nobody needs them any more.
UPDATE account SET deleted = true, sealed = NULL, connection = connection - '{access_token,secrets,verify_token}'::text[], updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND account_id = :account_id AND NOT deleted RETURNING true

-- name: delete_account_templates
UPDATE template SET deleted = true, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND account_id = :account_id AND NOT deleted RETURNING template_id

-- name: hold_any_account
-- Deleted ones, too.
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, sealed, rate_per_second, concurrency_max,
       created_at, updated_at, version, deleted
  FROM account WHERE team_id = :team_id AND account_id = :account_id FOR UPDATE

-- name: reseal_account
-- No change that anybody sees: the version stays.
UPDATE account SET connection = :connection, sealed = :sealed WHERE team_id = :team_id AND account_id = :account_id

-- name: paused_templates
SELECT paused_templates(:paused)

-- name: unusable_accounts
SELECT channel, accounts FROM unusable_accounts(:unusable)

-- name: hold_account_ids
-- One at a time gives accounts of a team ids.
SELECT pg_advisory_xact_lock(7319, hashtext(:team_id::uuid::text))

-- name: find_account_of_id
SELECT EXISTS (
    SELECT FROM account
     WHERE team_id = :team_id AND account_id <> :account_id AND NOT deleted AND connection ->> 'kind' = :kind
       AND connection ->> :field = :id)
