-- Enrolments, as people read them. Those that have ended, and all but one of the live ones of a customer, have a row; that one is
-- in its actor's row, with `packed` in place of what the state holds.

-- name: get_enrolment
SELECT team_id, customer_id, enrolment_id, journey_id, created_at, trigger_event_id, depth, updated_at, state, node_id, visit, rest,
       wake_at, commit_keys, NULL::bytea AS packed
  FROM enrolment WHERE team_id = :team_id AND enrolment_id = :enrolment_id
UNION ALL
SELECT team_id, customer_id, live_enrolment_id, live_journey_id, live_since, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, state
  FROM actor WHERE team_id = :team_id AND live_enrolment_id = :enrolment_id;

-- name: list_enrolments_of_journey
-- States that are null take all; so does the keyset.
(SELECT team_id, customer_id, enrolment_id, journey_id, created_at, trigger_event_id, depth, updated_at, state, node_id, visit, rest,
        wake_at, commit_keys, NULL::bytea AS packed
   FROM enrolment
  WHERE team_id = :team_id AND journey_id = :journey_id AND (:states::smallint[] IS NULL OR state = ANY (:states))
    AND (:after_created_at::timestamptz IS NULL OR (created_at, enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
  ORDER BY created_at DESC, enrolment_id DESC LIMIT :limit)
UNION ALL
(SELECT team_id, customer_id, live_enrolment_id, live_journey_id, live_since, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, state
   FROM actor
  WHERE team_id = :team_id AND live_journey_id = :journey_id
    AND (:states::smallint[] IS NULL OR enrolment_state('LIVE') = ANY (:states))
    AND (:after_created_at::timestamptz IS NULL
         OR (live_since, live_enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
  ORDER BY live_since DESC, live_enrolment_id DESC LIMIT :limit)
ORDER BY created_at DESC, enrolment_id DESC LIMIT :limit;

-- name: list_enrolments_of_customer
-- A journey or states that are null take all; so does the keyset.
(SELECT team_id, customer_id, enrolment_id, journey_id, created_at, trigger_event_id, depth, updated_at, state, node_id, visit, rest,
        wake_at, commit_keys, NULL::bytea AS packed
   FROM enrolment
  WHERE team_id = :team_id AND partition = :partition AND customer_id = :customer_id
    AND (:journey_id::uuid IS NULL OR journey_id = :journey_id) AND (:states::smallint[] IS NULL OR state = ANY (:states))
    AND (:after_created_at::timestamptz IS NULL OR (created_at, enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
  ORDER BY created_at DESC, enrolment_id DESC LIMIT :limit)
UNION ALL
SELECT team_id, customer_id, live_enrolment_id, live_journey_id, live_since, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, state
  FROM actor
 WHERE team_id = :team_id AND partition = :partition AND customer_id = :customer_id AND live_enrolment_id IS NOT NULL
   AND (:journey_id::uuid IS NULL OR live_journey_id = :journey_id)
   AND (:states::smallint[] IS NULL OR enrolment_state('LIVE') = ANY (:states))
   AND (:after_created_at::timestamptz IS NULL
        OR (live_since, live_enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
ORDER BY created_at DESC, enrolment_id DESC LIMIT :limit;

-- name: count_enrolments
SELECT counted.state, sum(counted.n)::bigint AS n
  FROM (SELECT state::integer AS state, count(*) AS n FROM enrolment
         WHERE team_id = :team_id AND journey_id = :journey_id GROUP BY state
        UNION ALL
        SELECT enrolment_state('LIVE'), count(*) FROM actor WHERE team_id = :team_id AND live_journey_id = :journey_id
        ) AS counted
 WHERE counted.n > 0 GROUP BY counted.state;

-- name: records_of_commits
SELECT body FROM history_record
 WHERE team_id = :team_id AND commit_key = ANY (:commit_keys::bigint[]) AND shard = :shard ORDER BY position;

-- name: history_of_enrolment
-- What was told before there were records.
SELECT body FROM history WHERE team_id = :team_id AND enrolment_id = :enrolment_id AND kind = fact_kind('RUN_SEGMENT') ORDER BY position;
