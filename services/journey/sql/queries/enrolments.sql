-- Enrolments, as people read them.

-- name: get_enrolment
SELECT enrolment_id, journey_id, team_id, customer_id, trigger_event_id, depth, created_at, updated_at, state, node_id, visit,
       rest, wake_at
  FROM enrolment WHERE team_id = :team_id AND enrolment_id = :enrolment_id;

-- name: list_enrolments_of_journey
-- States that are null take all; so does the keyset.
SELECT enrolment_id, journey_id, team_id, customer_id, trigger_event_id, depth, created_at, updated_at, state, node_id, visit,
       rest, wake_at
  FROM enrolment
 WHERE team_id = :team_id AND journey_id = :journey_id AND (:states::smallint[] IS NULL OR state = ANY (:states))
   AND (:after_created_at::timestamptz IS NULL OR (created_at, enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
 ORDER BY created_at DESC, enrolment_id DESC LIMIT :limit;

-- name: list_enrolments_of_customer
-- A journey or states that are null take all; so does the keyset.
SELECT enrolment_id, journey_id, team_id, customer_id, trigger_event_id, depth, created_at, updated_at, state, node_id, visit,
       rest, wake_at
  FROM enrolment
 WHERE team_id = :team_id AND partition = :partition AND customer_id = :customer_id
   AND (:journey_id::uuid IS NULL OR journey_id = :journey_id) AND (:states::smallint[] IS NULL OR state = ANY (:states))
   AND (:after_created_at::timestamptz IS NULL OR (created_at, enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
 ORDER BY created_at DESC, enrolment_id DESC LIMIT :limit;

-- name: count_enrolments
SELECT state, count(*) AS n FROM enrolment WHERE team_id = :team_id AND journey_id = :journey_id GROUP BY state;

-- name: history_of_enrolment
SELECT body FROM history WHERE team_id = :team_id AND enrolment_id = :enrolment_id AND kind = fact_kind('RUN_SEGMENT') ORDER BY position;
