-- name: store_webhooks
-- Columns in the order of the target list; known ones are left alone and not returned.
INSERT INTO webhook_inbox (team_id, source, origin, webhook_id, body, digest, event_count, received_at, state)
SELECT * FROM unnest(:teams::uuid[], :sources::smallint[], :origins::text[], :webhook_ids::text[], :bodies::bytea[],
                     :digests::bytea[], :event_counts::integer[],
                     :receive_times::timestamptz[], :states::smallint[])
ON CONFLICT (team_id, source, origin, webhook_id) DO NOTHING
RETURNING team_id, source, origin, webhook_id

-- name: find_webhooks
SELECT i.*
  FROM unnest(:teams::uuid[], :sources::smallint[], :origins::text[], :webhook_ids::text[])
       AS w (team_id, source, origin, webhook_id)
 CROSS JOIN LATERAL (
    SELECT team_id, source, origin, webhook_id, digest FROM webhook_inbox AS i
     WHERE (i.team_id, i.source, i.origin, i.webhook_id) = (w.team_id, w.source, w.origin, w.webhook_id) LIMIT 1
 ) AS i

-- name: stored_webhooks
SELECT sequence, team_id, event_count FROM stored_webhooks(:most)

-- name: count_stored_events
SELECT COALESCE(sum(event_count), 0)::bigint FROM stored_webhooks(:most)

-- name: webhook_sizes
SELECT sequence, octet_length(body) AS size FROM webhook_inbox
 WHERE sequence = ANY (:sequences::bigint[]) ORDER BY sequence

-- name: read_webhooks
SELECT sequence, team_id, source, origin, webhook_id, body, received_at FROM webhook_inbox
 WHERE sequence = ANY (:sequences::bigint[]) ORDER BY sequence

-- name: mark_webhooks
UPDATE webhook_inbox AS i SET state = w.state
  FROM unnest(:sequences::bigint[], :states::smallint[]) AS w (sequence, state) WHERE i.sequence = w.sequence

-- name: keep_refusals
INSERT INTO inbox_refusal (team_id, sequence, index, reason)
SELECT * FROM unnest(:teams::uuid[], :sequences::bigint[], :indexes::integer[], :reasons::text[])
ON CONFLICT (team_id, sequence, index) DO UPDATE SET reason = EXCLUDED.reason

-- name: find_shop_keys
-- Keys of a shop that takes webhooks.
SELECT k.secret FROM shop_key AS k JOIN shop AS s USING (team_id, shop_id)
 WHERE k.team_id = :team_id AND k.shop_id = :shop_id AND s.enabled AND NOT s.deleted
   AND (k.expires_at IS NULL OR k.expires_at > :now)
