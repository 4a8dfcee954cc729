-- name: note_taken
-- Messages that their channel has, of sends of which that may be news, in the order of keys; and those of the sends whose answer was lost.
WITH news AS (
    SELECT w.effect_key, w.number, w.message_id, d.state
      FROM unnest(:effect_keys::uuid[], :numbers::smallint[], :account_ids::uuid[], :message_ids::text[])
        AS w (effect_key, number, account_id, message_id)
     CROSS JOIN LATERAL (
        SELECT delivery.state, delivery.account_id FROM delivery
         WHERE delivery.team_id = :team_id AND delivery.effect_key = w.effect_key AND delivery.accepted LIMIT 1
     ) AS d
     WHERE d.account_id = w.account_id AND (d.state = send_state('UNKNOWN') OR d.state >= send_state('ACCEPTED'))
), noted AS (
    INSERT INTO taken_message (team_id, effect_key, number, message_id, reported_at)
    SELECT :team_id, effect_key, number, message_id, :now FROM news ORDER BY 1, 2, 3
    ON CONFLICT (team_id, effect_key, number) DO NOTHING
)
SELECT DISTINCT effect_key FROM news WHERE state = send_state('UNKNOWN')

-- name: find_taken_due
SELECT team_id, effect_key FROM taken_due(:most)

-- name: hold_unknown
-- Sends that are settled, locked in the order of their keys, in which all lock them. A lock holds the place still.
SELECT d.*
  FROM (SELECT k.effect_key FROM unnest(:effect_keys::uuid[]) AS k (effect_key) ORDER BY 1) AS w
 CROSS JOIN LATERAL (
    SELECT ctid AS place, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, state, messages,
           messages_reported, settled_at
      FROM delivery
     WHERE delivery.team_id = :team_id AND delivery.effect_key = w.effect_key AND delivery.state < send_state('ACCEPTED')
       FOR NO KEY UPDATE
 ) AS d

-- name: take_taken
-- What was told of sends: whoever removes it goes by it.
DELETE FROM taken_message WHERE team_id = :team_id AND effect_key = ANY (:effect_keys::uuid[])
RETURNING effect_key, number, message_id

-- name: resolve_sends
UPDATE delivery AS d
   SET state = send_state('SENT'), reason = '', parts_sent = d.messages,
       message_ids = CASE WHEN w.message_id = '' THEN d.message_ids ELSE d.message_ids || w.message_id END
  FROM unnest(:places::tid[], :message_ids::text[]) AS w (place, message_id) WHERE d.ctid = w.place
