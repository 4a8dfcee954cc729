-- Keys of pixels.

-- name: count_pixel_keys
SELECT count(*) FROM pixel_key WHERE team_id = :team_id AND shop_id = :shop_id

-- name: create_pixel_key
INSERT INTO pixel_key (team_id, key_id, shop_id, origins, created_at)
VALUES (:team_id, :key_id, :shop_id, :origins, :created_at)

-- name: list_pixel_keys
SELECT team_id, shop_id, key_id, origins, created_at, revoked_at FROM pixel_key
 WHERE team_id = :team_id AND shop_id = :shop_id
   AND (:before_time::timestamptz IS NULL OR (created_at, key_id) < (:before_time, :before_id::uuid))
 ORDER BY created_at DESC, key_id DESC LIMIT :most

-- name: hold_pixel_key
SELECT team_id, shop_id, key_id, origins, created_at, revoked_at FROM pixel_key
 WHERE team_id = :team_id AND key_id = :key_id FOR UPDATE

-- name: revoke_pixel_key
UPDATE pixel_key SET revoked_at = COALESCE(revoked_at, :now) WHERE team_id = :team_id AND key_id = :key_id
RETURNING team_id, shop_id, key_id, origins, created_at, revoked_at

-- name: find_pixel_key
-- A key that pages may use, of a shop that takes webhooks.
SELECT k.team_id, k.shop_id, k.key_id, k.origins, k.created_at, k.revoked_at
  FROM pixel_key AS k JOIN shop AS s USING (team_id, shop_id)
 WHERE k.team_id = :team_id AND k.key_id = :key_id AND k.revoked_at IS NULL AND s.enabled AND NOT s.deleted
