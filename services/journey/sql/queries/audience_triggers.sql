-- Audience triggers.

-- name: insert_audience_trigger
INSERT INTO audience_trigger (team_id, operation_id, journey_id, audience_id, audience, rate, created_at)
VALUES (:team_id, :operation_id, :journey_id, :audience_id, :audience, :rate, :created_at)

-- name: count_unfinished_audience_triggers
SELECT count(*) FROM audience_trigger
 WHERE team_id = :team_id AND state IN (operation_state('PENDING'), operation_state('RUNNING'))

-- name: forget_audience_triggers
-- Those that have ended, with all outcomes known, but for the newest `kept`.
WITH gone AS (
    DELETE FROM audience_trigger
     WHERE team_id = :team_id AND ended_at IS NOT NULL AND settled = handed AND operation_id NOT IN (
        SELECT operation_id FROM audience_trigger WHERE team_id = :team_id ORDER BY created_at DESC, operation_id DESC LIMIT :kept)
    RETURNING operation_id
)
DELETE FROM audience_trigger_page AS p USING gone WHERE p.team_id = :team_id AND p.operation_id = gone.operation_id

-- name: read_audience_trigger
SELECT team_id, operation_id, journey_id, audience_id, audience, rate, state, paused, version, tries, found, found_all, through, handed,
       settled, enrolled, over_customer_limit, over_live_limit, over_plan_limit, not_live, set_aside, dropped, reason, message, created_at, started_at, ended_at
  FROM audience_trigger WHERE team_id = :team_id AND operation_id = :operation_id

-- name: lock_audience_trigger
SELECT team_id, operation_id, journey_id, audience_id, audience, rate, state, paused, version, tries, found, found_all, through, handed,
       settled, enrolled, over_customer_limit, over_live_limit, over_plan_limit, not_live, set_aside, dropped, reason, message, created_at, started_at, ended_at
  FROM audience_trigger WHERE team_id = :team_id AND operation_id = :operation_id FOR UPDATE

-- name: list_audience_triggers
SELECT team_id, operation_id, journey_id, audience_id, audience, rate, state, paused, version, tries, found, found_all, through, handed,
       settled, enrolled, over_customer_limit, over_live_limit, over_plan_limit, not_live, set_aside, dropped, reason, message, created_at, started_at, ended_at
  FROM audience_trigger
 WHERE team_id = :team_id
   AND (:after_created_at::timestamptz IS NULL OR (created_at, operation_id) < (:after_created_at, :after_operation_id::uuid))
 ORDER BY created_at DESC, operation_id DESC LIMIT :row_max

-- name: pause_audience_trigger
-- Paused or not; at once due.
UPDATE audience_trigger SET paused = :paused, due_at = clock_timestamp()
 WHERE team_id = :team_id AND operation_id = :operation_id AND state IN (operation_state('PENDING'), operation_state('RUNNING'))

-- name: end_audience_trigger
UPDATE audience_trigger
   SET state = :state, reason = :reason, message = :message, ended_at = :ended_at, due_at = clock_timestamp(), tries = 0
 WHERE team_id = :team_id AND operation_id = :operation_id AND state IN (operation_state('PENDING'), operation_state('RUNNING'))

-- name: forget_settled_pages
-- Customers whose outcomes are known; and, of one that has ended early, those who were not triggered, with the last of whom some were.
DELETE FROM audience_trigger_page AS p USING audience_trigger AS t
 WHERE t.team_id = :team_id AND t.operation_id = :operation_id AND p.team_id = t.team_id AND p.operation_id = t.operation_id
   AND (p.first + cardinality(p.customer_ids) <= t.settled
        OR (t.ended_at IS NOT NULL AND (p.first >= t.handed OR t.settled = t.handed)))

-- name: claim_audience_trigger
SELECT team_id, operation_id, version, wait_s FROM claim_audience_trigger(:claim_s)

-- name: due_audience_trigger
-- When the next step is due, and whether it is still the claim's; a step that came to its end was no failure.
UPDATE audience_trigger SET due_at = clock_timestamp() + make_interval(secs => :pause_s), tries = CASE WHEN :failed THEN tries ELSE 0 END
 WHERE team_id = :team_id AND operation_id = :operation_id AND version = :version
RETURNING true

-- name: add_found_customers
INSERT INTO audience_trigger_page (team_id, operation_id, first, customer_ids)
VALUES (:team_id, :operation_id, :first, :customer_ids)

-- name: note_found_customers
UPDATE audience_trigger
   SET found = found + :count, through = COALESCE(:through, through), found_all = :found_all, tries = 0,
       due_at = clock_timestamp() + make_interval(secs => :claim_s)
 WHERE team_id = :team_id AND operation_id = :operation_id

-- name: customers_of_audience_trigger
-- Rows with the customers of places from `start` up to `until`; a row holds 1,000 at most.
SELECT first, customer_ids FROM audience_trigger_page
 WHERE team_id = :team_id AND operation_id = :operation_id AND first > :start::bigint - 1000 AND first < :until::bigint ORDER BY first

-- name: note_handed_customers
UPDATE audience_trigger SET handed = handed + :count, started_at = COALESCE(started_at, :now)
 WHERE team_id = :team_id AND operation_id = :operation_id

-- name: note_settled_customers
UPDATE audience_trigger
   SET settled = settled + :count, enrolled = enrolled + :enrolled, over_customer_limit = over_customer_limit + :over_customer_limit,
       over_live_limit = over_live_limit + :over_live_limit, over_plan_limit = over_plan_limit + :over_plan_limit, not_live = not_live + :not_live, set_aside = set_aside + :set_aside,
       dropped = dropped + :dropped
 WHERE team_id = :team_id AND operation_id = :operation_id

-- name: hold_customers_in_flight
-- Who triggers customers of a team waits for others who do, up to the end of their transactions: none counts without what they add.
SELECT pg_advisory_xact_lock(hashtextextended(:team_id::uuid::text, 7318))

-- name: count_customers_in_flight
-- Of all audience triggers of a team, and of one; and how many of the team have customers to trigger.
SELECT COALESCE(sum(handed - settled), 0)::bigint AS of_team,
       COALESCE(sum(handed - settled) FILTER (WHERE operation_id = :operation_id), 0)::bigint AS of_one,
       count(*) FILTER (WHERE state = operation_state('RUNNING') AND NOT paused AND found_all AND handed < found) AS sharing
  FROM audience_trigger
 WHERE team_id = :team_id AND (state IN (operation_state('PENDING'), operation_state('RUNNING')) OR settled < handed)

-- name: states_of_triggers
-- What is kept of these triggers of a journey, in their order; no row of one that was not mailed.
SELECT k.place::integer AS place, m.number <= COALESCE(a.taken_journey, 0) AS taken,
       a.live_enrolment_id IS NOT DISTINCT FROM k.enrolment_id OR EXISTS (
            SELECT FROM enrolment AS e
             WHERE e.partition = m.partition AND e.team_id = m.team_id AND e.customer_id = m.customer_id AND e.enrolment_id = k.enrolment_id)
       AS enrolled,
       EXISTS (
            SELECT FROM parked_customer AS p
             WHERE p.partition = m.partition AND p.team_id = m.team_id AND p.customer_id = m.customer_id) AS parked,
       EXISTS (
            SELECT FROM dropped_mail AS d
             WHERE d.team_id = m.team_id AND d.customer_id = m.customer_id AND d.source = :source
               AND m.number > d.after_number AND m.number <= d.through_number) AS dropped,
       (SELECT count(*) FROM enrolment AS e
         WHERE e.partition = m.partition AND e.team_id = m.team_id AND e.customer_id = m.customer_id AND e.journey_id = m.journey_id)
       + (a.live_journey_id IS NOT DISTINCT FROM m.journey_id)::integer AS entries,
       EXISTS (
            SELECT FROM live_refusal AS r
             WHERE r.team_id = m.team_id AND r.customer_id = m.customer_id AND r.journey_id = m.journey_id
               AND r.source = :source AND r.number = m.number) AS crowded
  FROM unnest(:request_keys::uuid[], :enrolment_ids::uuid[]) WITH ORDINALITY AS k (request_key, enrolment_id, place)
  JOIN mail AS m ON m.team_id = :team_id AND m.request_key = k.request_key AND m.journey_id = :journey_id
  LEFT JOIN actor AS a ON a.partition = m.partition AND a.team_id = m.team_id AND a.customer_id = m.customer_id
 ORDER BY k.place
