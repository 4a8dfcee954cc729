-- name: note_messages
-- When people last wrote, in the order of keys, each once.
INSERT INTO inbound AS i (team_id, account_id, external_id, last_at)
SELECT :team_id, * FROM unnest(:account_ids::uuid[], :external_ids::text[], :times::timestamptz[])
ON CONFLICT (team_id, account_id, external_id) DO UPDATE SET last_at = EXCLUDED.last_at WHERE i.last_at < EXCLUDED.last_at

-- name: note_preferences
-- Who wants messages no more, or again, in the order of keys, each once.
INSERT INTO opt_out AS o (team_id, channel, external_id, withdrawn, source, changed_at)
SELECT :team_id, * FROM unnest(:channels::smallint[], :external_ids::text[], :withdrawn::boolean[], :sources::smallint[],
                               :times::timestamptz[])
ON CONFLICT (team_id, channel, external_id) DO UPDATE
   SET withdrawn = EXCLUDED.withdrawn, source = EXCLUDED.source, changed_at = EXCLUDED.changed_at
 WHERE o.changed_at <= EXCLUDED.changed_at

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
    SELECT ctid AS place, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, receipt, messages
      FROM delivery
     WHERE delivery.team_id = :team_id AND delivery.effect_key = w.effect_key AND accepted
       FOR NO KEY UPDATE
 ) AS d

-- name: note_receipts
UPDATE delivery AS d SET receipt = w.receipt
  FROM unnest(:places::tid[], :receipts::smallint[]) AS w (place, receipt) WHERE d.ctid = w.place

-- name: find_opt_outs
SELECT o.*
  FROM unnest(:teams::uuid[], :channels::smallint[], :external_ids::text[]) AS w (team_id, channel, external_id)
 CROSS JOIN LATERAL (
    SELECT team_id, channel, external_id FROM opt_out
     WHERE (opt_out.team_id, opt_out.channel, opt_out.external_id) = (w.team_id, w.channel, w.external_id) AND withdrawn LIMIT 1
 ) AS o
