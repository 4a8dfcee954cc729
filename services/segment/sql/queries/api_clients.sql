-- Clients of the API, in a table of the platform without row-level security: every statement names the team, null for the
-- installation's. Our own services (scope 5, INTERNAL) are nobody's business here.

-- name: insert_api_client
INSERT INTO platform.api_client (api_client_id, team_id, name, name_folded, scopes, token_sha256, expire_at)
VALUES (:api_client_id, :team_id, :name, :name_folded, :scopes, :token_sha256, :expire_at)
RETURNING api_client_id, team_id, name, name_folded, scopes, expire_at, revoked_at, created_at, last_used, version, configured

-- name: count_api_clients
SELECT count(*) FILTER (WHERE team_id IS NOT DISTINCT FROM :team_id::uuid), count(*)
  FROM platform.api_client WHERE revoked_at IS NULL AND NOT configured

-- name: lock_api_client
SELECT api_client_id, team_id, name, name_folded, scopes, expire_at, revoked_at, created_at, last_used, version, configured
  FROM platform.api_client
 WHERE team_id IS NOT DISTINCT FROM :team_id::uuid AND api_client_id = :api_client_id AND NOT scopes @> '{5}'::smallint[]
   FOR UPDATE

-- name: update_api_client
UPDATE platform.api_client
   SET name = :name, name_folded = :name_folded, scopes = :scopes, expire_at = :expire_at
 WHERE api_client_id = :api_client_id
RETURNING api_client_id, team_id, name, name_folded, scopes, expire_at, revoked_at, created_at, last_used, version, configured

-- name: rotate_api_client
-- `old_until` null: the old token ends at once.
UPDATE platform.api_client
   SET token_sha256 = :token_sha256,
       old_token_sha256 = CASE WHEN :old_until::timestamptz IS NULL THEN NULL ELSE token_sha256 END,
       old_token_expire_at = :old_until
 WHERE api_client_id = :api_client_id
RETURNING api_client_id, team_id, name, name_folded, scopes, expire_at, revoked_at, created_at, last_used, version, configured

-- name: revoke_api_client
UPDATE platform.api_client SET revoked_at = clock_timestamp() WHERE api_client_id = :api_client_id
RETURNING api_client_id, team_id, name, name_folded, scopes, expire_at, revoked_at, created_at, last_used, version, configured

-- name: list_api_clients
-- `after_name` and `after_id` may be null.
SELECT api_client_id, team_id, name, name_folded, scopes, expire_at, revoked_at, created_at, last_used, version, configured
  FROM platform.api_client
 WHERE team_id IS NOT DISTINCT FROM :team_id::uuid AND NOT scopes @> '{5}'::smallint[]
   AND (:after_id::uuid IS NULL OR (name_folded, api_client_id) > (:after_name::text, :after_id))
 ORDER BY name_folded, api_client_id LIMIT :row_max
