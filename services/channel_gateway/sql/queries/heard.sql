-- name: note_messages
-- When people last wrote, in the order of keys, each once.
INSERT INTO inbound AS i (team_id, account_id, external_id, last_at)
SELECT :team_id, * FROM unnest(:account_ids::uuid[], :external_ids::text[], :times::timestamptz[])
ON CONFLICT (team_id, account_id, external_id) DO UPDATE SET last_at = EXCLUDED.last_at WHERE i.last_at < EXCLUDED.last_at

-- name: note_sent
-- The last sends to people that channels told of, in the order of keys, each once; never goes back.
INSERT INTO inbound AS i (team_id, account_id, external_id, last_at, sent_key, sent_at)
SELECT :team_id, account_id, external_id, '0001-01-02 00:00:00+00', sent_key, sent_at
  FROM unnest(:account_ids::uuid[], :external_ids::text[], :effect_keys::uuid[], :times::timestamptz[])
    AS w (account_id, external_id, sent_key, sent_at)
ON CONFLICT (team_id, account_id, external_id) DO UPDATE SET sent_key = EXCLUDED.sent_key, sent_at = EXCLUDED.sent_at
 WHERE i.sent_key IS DISTINCT FROM EXCLUDED.sent_key AND (i.sent_at IS NULL OR i.sent_at <= EXCLUDED.sent_at)

-- name: find_answered
-- The sends that people answered: the last one to them, sent within the window before they wrote; where they named a message, only if it is one of that send.
SELECT w.account_id, i.sent_key AS effect_key
  FROM unnest(:account_ids::uuid[], :external_ids::text[], :times::timestamptz[], :answered_ids::text[])
    AS w (account_id, external_id, at, answered_id)
 CROSS JOIN LATERAL (
    SELECT sent_key, sent_at FROM inbound
     WHERE (inbound.team_id, inbound.account_id, inbound.external_id) = (:team_id, w.account_id, w.external_id) LIMIT 1
 ) AS i
 CROSS JOIN LATERAL (
    SELECT message_ids FROM delivery WHERE delivery.team_id = :team_id AND delivery.effect_key = i.sent_key LIMIT 1
 ) AS d
 WHERE i.sent_at <= w.at AND i.sent_at > w.at - :window::interval AND (w.answered_id = '' OR w.answered_id = ANY (d.message_ids))

-- name: note_preferences
-- Who wants messages no more, or again, in the order of keys, each once; and what of that is a change.
WITH written AS (
    INSERT INTO opt_out AS o (team_id, channel, external_id, withdrawn, source, changed_at)
    SELECT :team_id, * FROM unnest(:channels::smallint[], :external_ids::text[], :withdrawn::boolean[], :sources::smallint[],
                                   :times::timestamptz[])
    ON CONFLICT (team_id, channel, external_id) DO UPDATE
       SET withdrawn = EXCLUDED.withdrawn, source = EXCLUDED.source, changed_at = EXCLUDED.changed_at
     WHERE o.changed_at <= EXCLUDED.changed_at
    RETURNING o.channel, o.external_id, o.withdrawn, o.source, o.changed_at
)
INSERT INTO consent_change (team_id, change_id, channel, external_id, withdrawn, before_state, source, note, actor, changed_at)
SELECT :team_id, gen_random_uuid(), w.channel, w.external_id, w.withdrawn,
       CASE WHEN b.withdrawn IS NULL THEN 0 WHEN b.withdrawn THEN 2 ELSE 1 END, w.source, '', 'channel_gateway', w.changed_at
  FROM written AS w
  LEFT JOIN LATERAL (
    SELECT o.withdrawn FROM opt_out AS o WHERE (o.team_id, o.channel, o.external_id) = (:team_id, w.channel, w.external_id) LIMIT 1
  ) AS b ON true
 WHERE b.withdrawn IS DISTINCT FROM w.withdrawn

-- name: move_inbound
-- When somebody last wrote, and what they were last sent, under the id that they have now; what came later than the change is of somebody else.
WITH gone AS (
    DELETE FROM inbound WHERE team_id = :team_id AND account_id = :account_id AND external_id = :old_id AND last_at <= :at
    RETURNING last_at, sent_key, sent_at
)
INSERT INTO inbound AS i (team_id, account_id, external_id, last_at, sent_key, sent_at)
SELECT :team_id, :account_id, :new_id, last_at, sent_key, sent_at FROM gone
ON CONFLICT (team_id, account_id, external_id) DO UPDATE
   SET last_at = greatest(i.last_at, EXCLUDED.last_at),
       sent_key = CASE WHEN i.sent_at >= EXCLUDED.sent_at THEN i.sent_key ELSE coalesce(EXCLUDED.sent_key, i.sent_key) END,
       sent_at = greatest(i.sent_at, EXCLUDED.sent_at)

-- name: remember_move
-- For what is told of them later; what is too old to matter goes.
WITH forgotten AS (
    DELETE FROM moved_person WHERE team_id = :team_id AND moved_at < :forgotten_before
)
INSERT INTO moved_person (team_id, account_id, old_id, moved_at, moved_to)
SELECT :team_id, :account_id, :old_id, :at, :new_id WHERE :at >= :forgotten_before
ON CONFLICT DO NOTHING

-- name: find_moves
SELECT m.account_id, m.old_id, m.moved_at, m.moved_to
  FROM unnest(:account_ids::uuid[], :external_ids::text[]) AS w (account_id, external_id)
 CROSS JOIN LATERAL (
    SELECT * FROM moved_person AS r
     WHERE r.team_id = :team_id AND r.account_id = w.account_id AND r.old_id = w.external_id OFFSET 0
 ) AS m

-- name: follow_preference
-- What somebody wants holds under the id that they have now, too; the one before keeps it: they may have it on another account still.
WITH written AS (
    INSERT INTO opt_out AS o (team_id, channel, external_id, withdrawn, source, changed_at)
    SELECT team_id, channel, :new_id, withdrawn, source, changed_at
      FROM opt_out AS b
     WHERE b.team_id = :team_id AND b.channel = :channel AND b.external_id = :old_id AND b.changed_at <= :at
    ON CONFLICT (team_id, channel, external_id) DO UPDATE
       SET withdrawn = EXCLUDED.withdrawn, source = EXCLUDED.source, changed_at = EXCLUDED.changed_at
     WHERE o.changed_at < EXCLUDED.changed_at
    RETURNING o.channel, o.external_id, o.withdrawn, o.source, o.changed_at
)
INSERT INTO consent_change (team_id, change_id, channel, external_id, withdrawn, before_state, source, note, actor, changed_at)
SELECT :team_id, gen_random_uuid(), w.channel, w.external_id, w.withdrawn,
       CASE WHEN b.withdrawn IS NULL THEN 0 WHEN b.withdrawn THEN 2 ELSE 1 END, w.source, '', 'channel_gateway', w.changed_at
  FROM written AS w
  LEFT JOIN LATERAL (
    SELECT o.withdrawn FROM opt_out AS o WHERE (o.team_id, o.channel, o.external_id) = (:team_id, w.channel, w.external_id) LIMIT 1
  ) AS b ON true
 WHERE b.withdrawn IS DISTINCT FROM w.withdrawn

-- name: follow_limit
-- Who gets no marketing for now gets none under the id that they have now, either.
INSERT INTO limited_person AS l (team_id, channel, external_id, noted_at)
SELECT team_id, channel, :new_id, noted_at
  FROM limited_person AS b
 WHERE b.team_id = :team_id AND b.channel = :channel AND b.external_id = :old_id AND b.noted_at <= :at
ON CONFLICT (team_id, channel, external_id) DO UPDATE SET noted_at = EXCLUDED.noted_at WHERE l.noted_at < EXCLUDED.noted_at

-- name: find_sends_to
-- The newest sends to people through accounts of Messenger and Instagram, which name no send in what they tell: those sent, or under way,
-- that nobody is known to have read.
SELECT d.*
  FROM unnest(:account_ids::uuid[], :external_ids::text[]) AS w (account_id, external_id)
 CROSS JOIN LATERAL (
    SELECT account_id, recipient, effect_key, state, message_ids, created_at
      FROM delivery
     WHERE delivery.team_id = :team_id AND delivery.account_id = w.account_id AND recipient = w.external_id
       AND channel IN (channel('MESSENGER'), channel('INSTAGRAM')) AND accepted
       AND (state = send_state('SENT') OR state >= send_state('ACCEPTED')) AND receipt < :read
     ORDER BY created_at DESC LIMIT :most
 ) AS d

-- name: hold_receipts
-- Accepted sends, locked in the order of their keys, in which all lock them. A lock holds the place still.
SELECT d.*
  FROM (SELECT k.effect_key FROM unnest(:effect_keys::uuid[]) AS k (effect_key) ORDER BY 1) AS w
 CROSS JOIN LATERAL (
    SELECT ctid AS place, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, receipt, messages,
           price_micros
      FROM delivery
     WHERE delivery.team_id = :team_id AND delivery.effect_key = w.effect_key AND accepted
       FOR NO KEY UPDATE
 ) AS d

-- name: note_receipts
UPDATE delivery AS d SET receipt = w.receipt
  FROM unnest(:places::tid[], :receipts::smallint[]) AS w (place, receipt) WHERE d.ctid = w.place

-- name: find_opt_outs
SELECT w.* FROM unnest(:teams::uuid[], :channels::smallint[], :external_ids::text[], :customer_ids::uuid[])
    AS w (team_id, channel, external_id, customer_id)
 WHERE has_consents(:bound::uuid[]) AND wants_none(w.team_id, w.customer_id, w.channel, w.external_id)
