-- name: create_shop
INSERT INTO shop (team_id, shop_id, display_name, enabled, created_at, updated_at)
VALUES (:team_id, :shop_id, :display_name, :enabled, :now, :now)
RETURNING team_id, shop_id, display_name, enabled, created_at, updated_at, version

-- name: get_shop
SELECT team_id, shop_id, display_name, enabled, created_at, updated_at, version
  FROM shop WHERE team_id = :team_id AND shop_id = :shop_id AND NOT deleted

-- name: hold_shop
SELECT team_id, shop_id, display_name, enabled, created_at, updated_at, version
  FROM shop WHERE team_id = :team_id AND shop_id = :shop_id AND NOT deleted FOR UPDATE

-- name: list_shops
SELECT team_id, shop_id, display_name, enabled, created_at, updated_at, version
  FROM shop
 WHERE team_id = :team_id AND NOT deleted
   AND (:after_time::timestamptz IS NULL OR (created_at, shop_id) > (:after_time, :after_id))
 ORDER BY created_at, shop_id LIMIT :most

-- name: update_shop
UPDATE shop SET display_name = :display_name, enabled = :enabled, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND shop_id = :shop_id
RETURNING team_id, shop_id, display_name, enabled, created_at, updated_at, version

-- name: delete_shop
UPDATE shop SET deleted = true, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND shop_id = :shop_id AND NOT deleted RETURNING true

-- name: delete_shop_keys
DELETE FROM shop_key WHERE team_id = :team_id AND shop_id = :shop_id

-- name: count_shop_keys
SELECT count(*) FROM shop_key WHERE team_id = :team_id AND shop_id = :shop_id
   AND (expires_at IS NULL OR expires_at > :now)

-- name: create_shop_key
INSERT INTO shop_key (team_id, shop_id, key_id, sealed, created_at, expires_at)
VALUES (:team_id, :shop_id, :key_id, :sealed, :created_at, :expires_at)

-- name: find_shop_key
SELECT team_id, shop_id, key_id, secret, sealed, created_at, expires_at FROM shop_key
 WHERE team_id = :team_id AND shop_id = :shop_id AND key_id = :key_id

-- name: list_shop_keys
SELECT team_id, shop_id, key_id, secret, sealed, created_at, expires_at FROM shop_key
 WHERE team_id = :team_id AND shop_id = :shop_id
   AND (:before_time::timestamptz IS NULL OR (created_at, key_id) < (:before_time, :before_id::uuid))
 ORDER BY created_at DESC, key_id DESC LIMIT :most

-- name: expire_shop_key
-- One that has ended, because it got into the wrong hands, say, stays so.
UPDATE shop_key SET expires_at = CASE WHEN expires_at <= :now THEN expires_at ELSE :expires_at END WHERE team_id = :team_id AND shop_id = :shop_id AND key_id = :key_id
RETURNING true

-- name: list_inbox
SELECT sequence, source, team_id, origin, webhook_id, event_count, received_at, state FROM webhook_inbox
 WHERE team_id = :team_id AND (:state::smallint = 0 OR state = :state) AND (:origin = '' OR origin = :origin)
   AND (:before_sequence::bigint IS NULL OR sequence < :before_sequence)
 ORDER BY sequence DESC LIMIT :most

-- name: get_inbox
SELECT sequence, source, team_id, origin, webhook_id, body, event_count, received_at, state FROM webhook_inbox
 WHERE team_id = :team_id AND sequence = :sequence

-- name: get_refusals
SELECT sequence, index, reason FROM inbox_refusal WHERE team_id = :team_id AND sequence = ANY (:sequences::bigint[])
 ORDER BY 1, 2

-- name: restore_inbox
UPDATE webhook_inbox SET state = inbox_state('STORED')
 WHERE team_id = :team_id AND sequence = :sequence AND state = inbox_state('REFUSED')
RETURNING true

-- name: drop_refusals
DELETE FROM inbox_refusal WHERE team_id = :team_id AND sequence = :sequence

-- name: hold_shop_key
SELECT team_id, shop_id, key_id, secret, sealed, created_at, expires_at FROM shop_key
 WHERE team_id = :team_id AND key_id = :key_id FOR UPDATE

-- name: reseal_shop_key
UPDATE shop_key SET secret = NULL, sealed = :sealed WHERE team_id = :team_id AND shop_id = :shop_id AND key_id = :key_id
