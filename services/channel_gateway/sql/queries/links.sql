-- Short links, and what opens them.

-- name: keep_link_key
INSERT INTO link_key (link_key_id, sealed) VALUES (1, :sealed) ON CONFLICT (link_key_id) DO NOTHING

-- name: find_link_key
SELECT sealed FROM link_key WHERE link_key_id = 1

-- name: hold_link_key
SELECT sealed FROM link_key WHERE link_key_id = 1 FOR UPDATE

-- name: reseal_link_key
UPDATE link_key SET sealed = :sealed WHERE link_key_id = 1

-- name: note_targets
-- In the order of keys, each once.
INSERT INTO link_target (team_id, digest, url, created_at)
SELECT w.*, :now FROM unnest(:teams::uuid[], :digests::bytea[], :urls::text[]) AS w (team_id, digest, url)
ON CONFLICT (team_id, digest) DO NOTHING

-- name: find_targets
SELECT t.team_id, t.url, t.link_id
  FROM unnest(:teams::uuid[], :digests::bytea[]) AS w (team_id, digest)
  JOIN link_target AS t USING (team_id, digest)

-- name: link_targets
SELECT link_id, team_id, url FROM link_targets(:link_ids::bigint[])

-- name: find_opened_sends
-- Sends whose keys lie in these ranges: two, where a range has more than one.
SELECT w.n, d.*
  FROM unnest(:numbers::integer[], :teams::uuid[], :lowest::uuid[], :highest::uuid[]) AS w (n, team_id, lowest, highest)
 CROSS JOIN LATERAL (
    SELECT effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, created_at
      FROM delivery
     WHERE delivery.team_id = w.team_id AND delivery.effect_key BETWEEN w.lowest AND w.highest AND accepted LIMIT 2
 ) AS d

-- name: note_clicks
WITH opened AS (
    SELECT * FROM unnest(:rows::opened_row[])
), clicked AS (
    INSERT INTO link_click (team_id, effect_key, link_id, click_id, clicked_at, agent)
    SELECT team_id, effect_key, link_id, click_id, :now, agent FROM opened
)
INSERT INTO tracked_link AS t (team_id, effect_key, link_id, journey_id, node_id, customer_id, sent_at, clicks, automated_clicks,
                               opened_at, last_click_at)
SELECT team_id, effect_key, link_id, journey_id, node_id, customer_id, sent_at, count(*) FILTER (WHERE agent = ''),
       count(*) FILTER (WHERE agent <> ''), :now, CASE WHEN bool_or(agent = '') THEN :now::timestamptz END
  FROM opened GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3
ON CONFLICT (team_id, effect_key, link_id) DO UPDATE
   SET clicks = t.clicks + EXCLUDED.clicks, automated_clicks = t.automated_clicks + EXCLUDED.automated_clicks,
       last_click_at = GREATEST(t.last_click_at, EXCLUDED.last_click_at)

-- name: tracked_link
SELECT t.*, l.url FROM tracked_link AS t JOIN link_target AS l USING (team_id, link_id)
 WHERE t.team_id = :team_id AND t.effect_key = :effect_key AND t.link_id = :link_id

-- name: sent_link
-- A link that nobody has opened, as the send and the address make it.
SELECT d.team_id, d.effect_key, l.link_id, d.journey_id, d.node_id, d.customer_id, d.created_at AS sent_at, 0 AS clicks,
       0 AS automated_clicks, NULL::timestamptz AS opened_at, NULL::timestamptz AS last_click_at, l.url
  FROM delivery AS d JOIN link_target AS l USING (team_id)
 WHERE d.team_id = :team_id AND d.effect_key BETWEEN :lowest AND :highest AND d.accepted AND l.link_id = :link_id LIMIT 2

-- name: list_tracked_links
SELECT t.*, l.url
  FROM tracked_link AS t JOIN link_target AS l USING (team_id, link_id)
 WHERE t.team_id = :team_id
   AND (:journey_id::uuid IS NULL OR t.journey_id = :journey_id)
   AND (:effect_key::uuid IS NULL OR t.effect_key = :effect_key)
   AND (:before_at::timestamptz IS NULL
        OR (t.opened_at, t.effect_key, t.link_id) < (:before_at, :before_key::uuid, :before_link::bigint))
 ORDER BY t.opened_at DESC, t.effect_key DESC, t.link_id DESC LIMIT :most

-- name: list_clicks
SELECT click_id, clicked_at, agent
  FROM link_click
 WHERE team_id = :team_id AND effect_key = :effect_key AND link_id = :link_id
   AND (:before_id::uuid IS NULL OR click_id < :before_id)
 ORDER BY click_id DESC LIMIT :most

-- name: forget_clicks
SELECT forget_clicks(:sent_before, :row_max)
