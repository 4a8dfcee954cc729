-- Those who call: `platform.api_client`.

-- name: register_client
-- One that configuration gives. The token that it had before ends after `overlap`, if it `overlaps`.
INSERT INTO platform.api_client (api_client_id, name, name_folded, scopes, token_sha256, configured, version)
VALUES (:client_id, :name, :name_folded, :scopes, :token_sha256, true, 0)
ON CONFLICT (api_client_id) DO UPDATE
   SET name = excluded.name, scopes = excluded.scopes, token_sha256 = excluded.token_sha256, revoked_at = NULL,
       old_token_sha256 = CASE WHEN :overlaps THEN api_client.token_sha256 END,
       old_token_expire_at = CASE WHEN :overlaps THEN clock_timestamp() + :overlap::interval END

-- name: is_token_known
SELECT true FROM platform.api_client WHERE configured AND scopes = :scopes AND token_sha256 = :token_sha256 AND revoked_at IS NULL

-- name: is_client_registered
SELECT true FROM platform.api_client
 WHERE api_client_id = :client_id AND name = :name AND scopes = :scopes AND token_sha256 = :token_sha256 AND revoked_at IS NULL

-- name: read_clients
-- Those that changed after a version, in the order of versions.
SELECT api_client_id, team_id, name, scopes, token_sha256, old_token_sha256, old_token_expire_at, expire_at,
       revoked_at IS NOT NULL AS revoked, version
  FROM platform.api_client WHERE version > :version ORDER BY version LIMIT :row_max

-- name: note_client_uses
SELECT platform.note_client_uses(:client_ids::uuid[], :hours::timestamptz[])
