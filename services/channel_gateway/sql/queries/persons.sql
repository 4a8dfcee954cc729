-- Persons: what is held of one, and how it is taken out. Rows that nothing finds by their customer are passed over in the order of a key,
-- some thousands at once.

-- name: has_webhooks_before
SELECT EXISTS (
    SELECT FROM webhook_inbox WHERE team_id = :team_id AND state = inbox_state('STORED') AND received_at < :before)

-- name: remove_person
-- What they said, and when they were heard.
WITH consents AS (
    DELETE FROM consent WHERE team_id = :team_id AND customer_id = :customer_id
), changes AS (
    DELETE FROM consent_change WHERE team_id = :team_id AND customer_id = :customer_id
), words AS (
    DELETE FROM consent_change AS c USING generate_series(1, 4) AS n (channel), unnest(:identifiers::text[]) AS i (external_id)
     WHERE c.team_id = :team_id AND c.channel = n.channel AND c.external_id = i.external_id
), opted_out AS (
    DELETE FROM opt_out AS o USING generate_series(1, 4) AS n (channel), unnest(:identifiers::text[]) AS i (external_id)
     WHERE o.team_id = :team_id AND o.channel = n.channel AND o.external_id = i.external_id
), limited AS (
    DELETE FROM limited_person AS l USING generate_series(1, 4) AS n (channel), unnest(:identifiers::text[]) AS i (external_id)
     WHERE l.team_id = :team_id AND l.channel = n.channel AND l.external_id = i.external_id
), held AS (
    DELETE FROM account_hold AS h USING account AS a, unnest(:identifiers::text[]) AS i (recipient)
     WHERE a.team_id = :team_id AND h.team_id = :team_id AND h.account_id = a.account_id AND h.recipient = i.recipient
), heard AS (
    DELETE FROM inbound AS h USING account AS a, unnest(:identifiers::text[]) AS i (external_id)
     WHERE a.team_id = :team_id AND h.team_id = :team_id AND h.account_id = a.account_id AND h.external_id = i.external_id
), moves AS (
    DELETE FROM moved_person WHERE team_id = :team_id AND (old_id = ANY (:identifiers::text[]) OR moved_to = ANY (:identifiers::text[]))
), presses AS (
    DELETE FROM coupon_press WHERE team_id = :team_id AND customer_id = :customer_id
)
DELETE FROM frequency_use WHERE team_id = :team_id AND customer_id = :customer_id

-- name: sends_of_person
-- Of the next sends of the team after one: the last of them, how many, and those to the customer.
SELECT (array_agg(page.effect_key ORDER BY page.effect_key DESC))[1] AS last, count(*) AS looked_at,
       COALESCE(array_agg(page.effect_key) FILTER (WHERE page.customer_id = :customer_id), '{}') AS own,
       COALESCE(bool_or(page.state >= send_state('ACCEPTED')) FILTER (WHERE page.customer_id = :customer_id), false) AS goes_on
  FROM (SELECT effect_key, customer_id, state FROM delivery
         WHERE team_id = :team_id AND effect_key > :after ORDER BY effect_key LIMIT :row_max) AS page

-- name: blank_sends
WITH taken AS (
    DELETE FROM taken_message WHERE team_id = :team_id AND effect_key = ANY (:effect_keys::uuid[])
), traced AS (
    DELETE FROM send_trace WHERE team_id = :team_id AND effect_key = ANY (:effect_keys::uuid[])
)
UPDATE delivery SET recipient = '', parts = NULL, message_ids = '{}'
 WHERE team_id = :team_id AND effect_key = ANY (:effect_keys::uuid[]) AND state < send_state('ACCEPTED')

-- name: remove_targets
-- Of the next addresses of links after one; the last of them.
WITH page AS MATERIALIZED (
    SELECT digest, lower(url) AS text FROM link_target
     WHERE team_id = :team_id AND digest > :after ORDER BY digest LIMIT :row_max
), gone AS (
    DELETE FROM link_target AS t USING page AS p
     WHERE t.team_id = :team_id AND t.digest = p.digest
       AND EXISTS (SELECT FROM unnest(:texts::text[]) AS i WHERE strpos(p.text, i) > 0)
)
SELECT p.digest FROM page AS p ORDER BY 1 DESC LIMIT 1

-- name: webhooks_after
-- The next webhooks that are worked, by their names, without their bodies.
SELECT sequence, source, origin, webhook_id, octet_length(body) AS size,
       state <> inbox_state('STORED') AND received_at < :before AND body <> '' AS is_old
  FROM webhook_inbox
 WHERE team_id = :team_id AND (source, origin, webhook_id) > (:source::smallint, :origin::text, :webhook_id::text)
 ORDER BY source, origin, webhook_id LIMIT :row_max

-- name: bodies_of_webhooks
SELECT sequence, body FROM webhook_inbox WHERE team_id = :team_id AND sequence = ANY (:sequences::bigint[])

-- name: blank_webhooks
WITH blanked AS (
    UPDATE webhook_inbox SET body = ''
     WHERE team_id = :team_id AND sequence = ANY (:sequences::bigint[]) AND state <> inbox_state('STORED') RETURNING sequence
)
UPDATE inbox_refusal AS r SET reason = 'ERASED' FROM blanked AS b WHERE r.team_id = :team_id AND r.sequence = b.sequence

-- name: remove_outgoing
-- Of the next webhooks that go out after one, dead letters among them; the last of them.
WITH page AS MATERIALIZED (
    SELECT subscription_id, webhook_id, lower(encode(body, 'escape')) AS text FROM outgoing_webhook
     WHERE team_id = :team_id AND (subscription_id, webhook_id) > (:subscription_id::uuid, :webhook_id::uuid)
     ORDER BY subscription_id, webhook_id LIMIT :row_max
), gone AS (
    DELETE FROM outgoing_webhook AS w USING page AS p
     WHERE w.team_id = :team_id AND w.subscription_id = p.subscription_id AND w.webhook_id = p.webhook_id
       AND EXISTS (SELECT FROM unnest(:texts::text[]) AS i
                    WHERE strpos(p.text, lower(encode(convert_to(i, 'UTF8'), 'escape'))) > 0)
)
SELECT p.subscription_id, p.webhook_id FROM page AS p ORDER BY 1 DESC, 2 DESC LIMIT 1

-- name: read_consents_of_person
SELECT channel, withdrawn, source, note, actor, changed_at FROM consent_change
 WHERE team_id = :team_id AND customer_id = :customer_id
UNION ALL
SELECT c.channel, c.withdrawn, c.source, c.note, c.actor, c.changed_at
  FROM consent_change AS c, generate_series(1, 4) AS n (channel), unnest(:identifiers::text[]) AS i (external_id)
 WHERE c.team_id = :team_id AND c.channel = n.channel AND c.external_id = i.external_id
 ORDER BY changed_at

-- name: read_sends_of_person
SELECT effect_key, journey_id, node_id, channel, account_id, state, reason, recipient, created_at, settled_at, parts
  FROM delivery WHERE team_id = :team_id AND effect_key = ANY (:effect_keys::uuid[]) ORDER BY created_at

-- name: read_clicks_of_sends
SELECT c.effect_key, c.clicked_at, l.url
  FROM link_click AS c JOIN link_target AS l USING (team_id, link_id)
 WHERE c.team_id = :team_id AND c.effect_key = ANY (:effect_keys::uuid[]) AND c.agent = '' ORDER BY c.clicked_at
