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

-- name: waiting_events
SELECT team_id, event_count FROM waiting_events(:most)

-- name: waiting_teams
SELECT team_id FROM waiting_teams(:after, :most) AS team_id

-- name: next_webhooks
-- A team's next ones in order of receipt, up to the bounds, and one at least. Sizes are read without the bodies.
SELECT i.sequence, i.team_id, i.source, i.origin, i.webhook_id, i.body, i.event_count, i.received_at
  FROM (
    SELECT sequence, row_number() OVER w AS place, sum(event_count) OVER w AS events, sum(size) OVER w AS bytes
      FROM (
        SELECT sequence, event_count, octet_length(body) AS size FROM webhook_inbox
         WHERE team_id = :team_id AND state = inbox_state('STORED') ORDER BY sequence LIMIT :rows_max
      ) AS waiting
    WINDOW w AS (ORDER BY sequence)
  ) AS fitting
  JOIN webhook_inbox AS i USING (sequence)
 WHERE place = 1 OR (events <= :events_max AND bytes <= :bytes_max)
 ORDER BY i.sequence

-- name: refuse_next_webhook
UPDATE webhook_inbox SET state = inbox_state('REFUSED')
 WHERE sequence = (SELECT sequence FROM webhook_inbox
                    WHERE team_id = :team_id AND state = inbox_state('STORED') ORDER BY sequence LIMIT 1)
RETURNING sequence

-- name: mark_webhooks
UPDATE webhook_inbox AS i SET state = w.state
  FROM unnest(:sequences::bigint[], :states::smallint[]) AS w (sequence, state)
 WHERE i.sequence = w.sequence AND i.state = inbox_state('STORED')
RETURNING i.sequence

-- name: keep_refusals
INSERT INTO inbox_refusal (team_id, sequence, index, reason)
SELECT * FROM unnest(:teams::uuid[], :sequences::bigint[], :indexes::integer[], :reasons::text[])
ON CONFLICT (team_id, sequence, index) DO UPDATE SET reason = EXCLUDED.reason

-- name: find_shop_keys
-- Keys of a shop that takes webhooks.
SELECT k.team_id, k.shop_id, k.key_id, k.secret, k.sealed, k.created_at, k.expires_at
  FROM shop_key AS k JOIN shop AS s USING (team_id, shop_id)
 WHERE k.team_id = :team_id AND k.shop_id = :shop_id AND s.enabled AND NOT s.deleted
   AND (k.expires_at IS NULL OR k.expires_at > :now)

-- name: find_heard_accounts
-- A team's accounts, the oldest first; disabled ones, too: who blocks them is to be known when they are used again.
SELECT team_id, account_id, channel, display_name, state, state_reason, connection, sealed, rate_per_second, concurrency_max,
       created_at, updated_at, version
  FROM account
 WHERE team_id = :team_id AND NOT deleted
 ORDER BY created_at, account_id LIMIT :most

-- name: forget_webhooks
SELECT forget_webhooks_v2(:others, :teams, :before, :row_max)
