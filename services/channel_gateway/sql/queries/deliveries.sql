-- Unsettled sends are found through the stints that stand in `sender_stint`: a send's stint stands there until it is settled.

-- name: mark_in_flight
SELECT in_flight, unwanted FROM mark_sends_v2(:teams, :sender, :team_numbers, :effect_keys)

-- name: postpone_sends
SELECT postpone_sends(:teams, :sender, :team_numbers, :effect_keys, :delays_s, :part_counts, :message_ids, :doubts,
                      :attempt_counts)

-- name: settle_sends
SELECT positions, numbers FROM settle_sends_v2(:teams, :sender, :now, :outcomes, :records)

-- name: find_settleable
-- Those of a process's sends that are unsettled.
SELECT d.*
  FROM unnest(:teams::uuid[], :effect_keys::uuid[]) AS w (team_id, effect_key)
 CROSS JOIN LATERAL (
    SELECT team_id, effect_key, stop_epoch FROM delivery
     WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND sender = :sender
       AND state >= send_state('ACCEPTED') LIMIT 1
 ) AS d

-- name: find_stints
-- But for the one of the release before, whose processes do not look whether it stands.
SELECT stint_id, sender FROM sender_stint WHERE stint_id <> '00000000-0000-0000-0000-000000000000'

-- name: gather_stints
SELECT gather_stints(:stints, :target, :sender)

-- name: end_stints
SELECT end_stints(:stints)

-- name: raise_stop
-- Never lowered.
INSERT INTO journey_stop AS s (team_id, journey_id, epoch) VALUES (:team_id, :journey_id, :epoch)
ON CONFLICT (team_id, journey_id) DO UPDATE SET epoch = GREATEST(s.epoch, EXCLUDED.epoch)
RETURNING epoch

-- name: find_older
-- Waiting sends of a journey that were decided in an older epoch, locked until they are settled; not those that have begun to leave, unless
-- `begun`.
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, depth, stop_epoch, not_after,
       recipient, parts, template_id, currency, price_micros, attempts, parts_sent, messages_reported, message_ids, doubtful, state,
       first_attempt_at, next_attempt_at, clock_timestamp() AS real_now
  FROM delivery
 WHERE stint_id = ANY (ARRAY(SELECT s.stint_id FROM sender_stint AS s))
   AND team_id = :team_id AND journey_id = :journey_id AND state = send_state('ACCEPTED') AND stop_epoch < :epoch
   AND (:begun::boolean OR (parts_sent = 0 AND NOT doubtful))
 ORDER BY team_id, effect_key
 LIMIT 2000
   FOR UPDATE

-- name: take_over
-- Makes those sends ours, whichever process had them.
UPDATE delivery SET sender = :sender
 WHERE stint_id = ANY (ARRAY(SELECT s.stint_id FROM sender_stint AS s))
   AND team_id = :team_id AND journey_id = :journey_id AND state = send_state('ACCEPTED') AND stop_epoch < :epoch
   AND (:begun::boolean OR (parts_sent = 0 AND NOT doubtful)) AND sender <> :sender

-- name: count_on_wire
-- Sends in flight, ours and those of other processes, and sends that wait.
SELECT count(*) FILTER (WHERE state = send_state('IN_FLIGHT') AND sender = :sender) AS ours,
       count(*) FILTER (WHERE state = send_state('IN_FLIGHT') AND sender <> :sender) AS others,
       count(*) FILTER (WHERE state = send_state('ACCEPTED')) AS waiting
  FROM delivery
 WHERE stint_id = ANY (ARRAY(SELECT s.stint_id FROM sender_stint AS s))
   AND team_id = :team_id AND journey_id = :journey_id AND state >= send_state('ACCEPTED') AND stop_epoch < :epoch

-- name: take_over_send
-- Makes a send that waits ours, whichever process had it. "state + 0": see `mark_sends`.
UPDATE delivery SET sender = :sender
 WHERE team_id = :team_id AND effect_key = :effect_key AND state + 0 = send_state('ACCEPTED') AND sender <> :sender

-- name: find_waiting_send
-- Locked until it is settled.
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, depth, stop_epoch, not_after,
       recipient, parts, template_id, currency, price_micros, attempts, parts_sent, messages_reported, message_ids, doubtful, state,
       first_attempt_at, next_attempt_at, clock_timestamp() AS real_now
  FROM delivery
 WHERE team_id = :team_id AND effect_key = :effect_key AND state + 0 = send_state('ACCEPTED')
   FOR UPDATE

-- name: state_of_send
SELECT state FROM delivery WHERE team_id = :team_id AND effect_key = :effect_key

-- name: unsettled_senders
-- Processes with unsettled sends, and the teams of those.
SELECT team_id, sender FROM unsettled_senders()

-- name: unsettled
SELECT pending, oldest FROM unsettled()

-- name: adopt
-- Makes sends of a process that is gone ours and gives them as they were, except that one that was in flight is doubtful
-- from now on. Rows of the bound teams only.
WITH held AS (
    SELECT team_id, effect_key FROM delivery
     WHERE stint_id = ANY (ARRAY(SELECT s.stint_id FROM sender_stint AS s))
       AND sender = :dead_sender AND state >= send_state('ACCEPTED') AND team_id = ANY ((SELECT platform.teams())::uuid[])
     ORDER BY team_id, effect_key LIMIT :most FOR UPDATE
)
UPDATE delivery AS d
   SET sender = :sender, doubtful = d.doubtful OR d.state = send_state('IN_FLIGHT')
  FROM held AS h WHERE (d.team_id, d.effect_key) = (h.team_id, h.effect_key)
RETURNING d.team_id, d.effect_key, d.customer_id, d.enrolment_id, d.journey_id, d.node_id, d.channel, d.account_id, d.depth,
          d.stop_epoch, d.not_after, d.recipient, d.parts, d.template_id, d.currency, d.price_micros, d.attempts,
          d.parts_sent, d.messages_reported, d.message_ids, d.doubtful, d.state, d.first_attempt_at, d.next_attempt_at, clock_timestamp() AS real_now

-- name: unsettled_of
SELECT team_id, effect_key FROM delivery
 WHERE stint_id = ANY (ARRAY(SELECT s.stint_id FROM sender_stint AS s))
   AND sender = :sender AND state >= send_state('ACCEPTED') AND team_id = ANY (:teams::uuid[])
   AND (account_id IS NULL OR account_id <> ALL (:without_accounts::uuid[]))

-- name: left_of
-- Our own sends that wait, as they are, but for those checked out.
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, depth, stop_epoch, not_after,
       recipient, parts, template_id, currency, price_micros, attempts, parts_sent, messages_reported, message_ids, doubtful, state,
       first_attempt_at, next_attempt_at, clock_timestamp() AS real_now
  FROM delivery AS d
 WHERE stint_id = ANY (ARRAY(SELECT s.stint_id FROM sender_stint AS s))
   AND team_id = :team_id AND account_id = :account_id AND sender = :sender AND state = send_state('ACCEPTED')
   AND NOT EXISTS (SELECT FROM unnest(:checked_out::uuid[]) AS h (effect_key) WHERE h.effect_key = d.effect_key)
 LIMIT :most

-- name: take_up_put_off
SELECT team_id, effect_key FROM take_up_put_off(make_interval(secs => :age_s), :sender, :stint, :most)

-- name: take_up_doubtful
-- Sends in doubt that were put off, of a journey that was stopped since, or the one of an effect key: they wait again, and are ours. Locked until
-- they are settled, by the same transaction: they need no stint.
WITH found AS (
    SELECT p.team_id, p.effect_key FROM put_off_send AS p
     CROSS JOIN LATERAL (
        SELECT d.journey_id, d.stop_epoch FROM delivery AS d
         WHERE d.team_id = p.team_id AND d.effect_key = p.effect_key AND d.state + 0 = send_state('DEFERRED') AND d.doubtful LIMIT 1
     ) AS d
     WHERE p.team_id = :team_id AND (p.effect_key = :effect_key OR (d.journey_id = :journey_id AND d.stop_epoch < :epoch))
     ORDER BY p.team_id, p.effect_key LIMIT 2000 FOR UPDATE OF p
), held AS (
    SELECT d.team_id, d.effect_key
      FROM found AS f JOIN delivery AS d ON d.team_id = f.team_id AND d.effect_key = f.effect_key
     WHERE d.state + 0 = send_state('DEFERRED') AND d.doubtful
     ORDER BY d.team_id, d.effect_key FOR UPDATE OF d
), due AS (
    DELETE FROM put_off_send AS p USING held AS h WHERE p.team_id = h.team_id AND p.effect_key = h.effect_key
)
UPDATE delivery AS d
   SET state = send_state('ACCEPTED'), sender = :sender, settled_at = NULL, next_attempt_at = NULL, messages_reported = d.parts_sent
  FROM held AS h WHERE d.team_id = h.team_id AND d.effect_key = h.effect_key
RETURNING d.team_id, d.effect_key

-- name: readopt
-- Our own sends that memory lost, as they are.
SELECT team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, depth, stop_epoch, not_after,
       recipient, parts, template_id, currency, price_micros, attempts, parts_sent, messages_reported, message_ids, doubtful, state,
       first_attempt_at, next_attempt_at, clock_timestamp() AS real_now
  FROM delivery
 WHERE team_id = ANY (:teams::uuid[]) AND effect_key = ANY (:effect_keys::uuid[])
   AND state >= send_state('ACCEPTED') AND sender = :sender
