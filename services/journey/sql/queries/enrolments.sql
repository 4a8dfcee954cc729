-- Enrolments, as people read them. Those that have ended, and all but one of the live ones of a customer, have a row; that one is
-- in its actor's row, with `packed` in place of what the state holds.

-- name: get_enrolment
SELECT e.team_id, e.customer_id, e.enrolment_id, e.journey_id, e.created_at, e.trigger_event_id, e.depth, e.updated_at,
       shown_state(e.state, e.partition, e.team_id, e.customer_id) AS state, e.node_id, e.visit, e.rest, e.wake_at, e.commit_keys,
       NULL::bytea AS packed
  FROM enrolment AS e WHERE e.team_id = :team_id AND e.enrolment_id = :enrolment_id
UNION ALL
SELECT a.team_id, a.customer_id, a.live_enrolment_id, a.live_journey_id, a.live_since, NULL, NULL, NULL,
       shown_state(enrolment_state('LIVE'), a.partition, a.team_id, a.customer_id), NULL, NULL, NULL, NULL, NULL, a.state
  FROM actor AS a WHERE a.team_id = :team_id AND a.live_enrolment_id = :enrolment_id;

-- name: list_enrolments_of_journey
-- States that are null take all; so does the keyset.
(SELECT e.team_id, e.customer_id, e.enrolment_id, e.journey_id, e.created_at, e.trigger_event_id, e.depth, e.updated_at,
        shown_state(e.state, e.partition, e.team_id, e.customer_id) AS state, e.node_id, e.visit, e.rest, e.wake_at, e.commit_keys,
        NULL::bytea AS packed
   FROM enrolment AS e
  WHERE e.team_id = :team_id AND e.journey_id = :journey_id
    AND (:states::smallint[] IS NULL OR shown_state(e.state, e.partition, e.team_id, e.customer_id) = ANY (:states))
    AND (:after_created_at::timestamptz IS NULL OR (e.created_at, e.enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
  ORDER BY e.created_at DESC, e.enrolment_id DESC LIMIT :limit)
UNION ALL
(SELECT a.team_id, a.customer_id, a.live_enrolment_id, a.live_journey_id, a.live_since, NULL, NULL, NULL,
        shown_state(enrolment_state('LIVE'), a.partition, a.team_id, a.customer_id), NULL, NULL, NULL, NULL, NULL, a.state
   FROM actor AS a
  WHERE a.team_id = :team_id AND a.live_journey_id = :journey_id
    AND (:states::smallint[] IS NULL
         OR shown_state(enrolment_state('LIVE'), a.partition, a.team_id, a.customer_id) = ANY (:states))
    AND (:after_created_at::timestamptz IS NULL
         OR (a.live_since, a.live_enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
  ORDER BY a.live_since DESC, a.live_enrolment_id DESC LIMIT :limit)
ORDER BY created_at DESC, enrolment_id DESC LIMIT :limit;

-- name: list_standing_in_journey
-- The same of those who stand at a node, or wait for one reason, or both, found in the indexes of who is inside: by ranges, which they
-- compare, of one or of all.
(SELECT e.team_id, e.customer_id, e.enrolment_id, e.journey_id, e.created_at, e.trigger_event_id, e.depth, e.updated_at,
        shown_state(e.state, e.partition, e.team_id, e.customer_id) AS state, e.node_id, e.visit, e.rest, e.wake_at, e.commit_keys,
        NULL::bytea AS packed
   FROM enrolment AS e
  WHERE e.team_id = :team_id AND e.journey_id = :journey_id AND e.state = enrolment_state('LIVE')
    AND e.node_id COLLATE "C" BETWEEN :first_node AND :last_node AND e.rest BETWEEN :first_wait AND :last_wait
    AND (:states::smallint[] IS NULL OR shown_state(e.state, e.partition, e.team_id, e.customer_id) = ANY (:states))
    AND (:after_created_at::timestamptz IS NULL OR (e.created_at, e.enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
  ORDER BY e.created_at DESC, e.enrolment_id DESC LIMIT :limit)
UNION ALL
(SELECT a.team_id, a.customer_id, a.live_enrolment_id, a.live_journey_id, a.live_since, NULL, NULL, NULL,
        shown_state(enrolment_state('LIVE'), a.partition, a.team_id, a.customer_id), NULL, NULL, NULL, NULL, NULL, a.state
   FROM actor AS a
  WHERE a.team_id = :team_id AND a.live_journey_id = :journey_id
    AND a.live_node BETWEEN :first_node AND :last_node AND a.live_wait BETWEEN :first_wait AND :last_wait
    AND (:states::smallint[] IS NULL
         OR shown_state(enrolment_state('LIVE'), a.partition, a.team_id, a.customer_id) = ANY (:states))
    AND (:after_created_at::timestamptz IS NULL
         OR (a.live_since, a.live_enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
  ORDER BY a.live_since DESC, a.live_enrolment_id DESC LIMIT :limit)
ORDER BY created_at DESC, enrolment_id DESC LIMIT :limit;

-- name: list_beyond_a_node
-- Of a journey those that stand at one of some nodes, and those that have ended, wherever they were.
(SELECT e.team_id, e.customer_id, e.enrolment_id, e.journey_id, e.created_at, e.trigger_event_id, e.depth, e.updated_at,
        shown_state(e.state, e.partition, e.team_id, e.customer_id) AS state, e.node_id, e.visit, e.rest, e.wake_at, e.commit_keys,
        NULL::bytea AS packed
   FROM enrolment AS e
  WHERE e.team_id = :team_id AND e.journey_id = :journey_id
    AND (e.state <> enrolment_state('LIVE') OR e.node_id = ANY (:nodes::text[]))
    AND (:states::smallint[] IS NULL OR shown_state(e.state, e.partition, e.team_id, e.customer_id) = ANY (:states))
    AND (:after_created_at::timestamptz IS NULL OR (e.created_at, e.enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
  ORDER BY e.created_at DESC, e.enrolment_id DESC LIMIT :limit)
UNION ALL
(SELECT a.team_id, a.customer_id, a.live_enrolment_id, a.live_journey_id, a.live_since, NULL, NULL, NULL,
        shown_state(enrolment_state('LIVE'), a.partition, a.team_id, a.customer_id), NULL, NULL, NULL, NULL, NULL, a.state
   FROM actor AS a
  WHERE a.team_id = :team_id AND a.live_journey_id = :journey_id AND a.live_node = ANY (:nodes::text[])
    AND (:states::smallint[] IS NULL
         OR shown_state(enrolment_state('LIVE'), a.partition, a.team_id, a.customer_id) = ANY (:states))
    AND (:after_created_at::timestamptz IS NULL
         OR (a.live_since, a.live_enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
  ORDER BY a.live_since DESC, a.live_enrolment_id DESC LIMIT :limit)
ORDER BY created_at DESC, enrolment_id DESC LIMIT :limit;

-- name: list_enrolments_of_customer
-- A journey, states, a node or a reason that are null take all; so does the keyset. Who stands somewhere is live.
(SELECT e.team_id, e.customer_id, e.enrolment_id, e.journey_id, e.created_at, e.trigger_event_id, e.depth, e.updated_at,
        shown_state(e.state, e.partition, e.team_id, e.customer_id) AS state, e.node_id, e.visit, e.rest, e.wake_at, e.commit_keys,
        NULL::bytea AS packed
   FROM enrolment AS e
  WHERE e.team_id = :team_id AND e.partition = :partition AND e.customer_id = :customer_id
    AND (:journey_id::uuid IS NULL OR e.journey_id = :journey_id)
    AND (:states::smallint[] IS NULL OR shown_state(e.state, e.partition, e.team_id, e.customer_id) = ANY (:states))
    AND (:node_id::text IS NULL OR (e.node_id = :node_id AND e.state = enrolment_state('LIVE')))
    AND (:wait::smallint IS NULL OR e.rest = :wait)
    AND (:after_created_at::timestamptz IS NULL OR (e.created_at, e.enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
  ORDER BY e.created_at DESC, e.enrolment_id DESC LIMIT :limit)
UNION ALL
SELECT a.team_id, a.customer_id, a.live_enrolment_id, a.live_journey_id, a.live_since, NULL, NULL, NULL,
       shown_state(enrolment_state('LIVE'), a.partition, a.team_id, a.customer_id), NULL, NULL, NULL, NULL, NULL, a.state
  FROM actor AS a
 WHERE a.team_id = :team_id AND a.partition = :partition AND a.customer_id = :customer_id AND a.live_enrolment_id IS NOT NULL
   AND (:journey_id::uuid IS NULL OR a.live_journey_id = :journey_id)
   AND (:states::smallint[] IS NULL OR shown_state(enrolment_state('LIVE'), a.partition, a.team_id, a.customer_id) = ANY (:states))
   AND (:node_id::text IS NULL OR a.live_node = :node_id) AND (:wait::smallint IS NULL OR a.live_wait = :wait)
   AND (:after_created_at::timestamptz IS NULL
        OR (a.live_since, a.live_enrolment_id) < (:after_created_at, :after_enrolment_id::uuid))
ORDER BY created_at DESC, enrolment_id DESC LIMIT :limit;

-- name: count_enrolments
-- Those of parked customers are counted apart, from the few customers that are parked.
WITH stands AS (
    SELECT e.state::integer AS state, count(*) AS n FROM enrolment AS e
     WHERE e.team_id = :team_id AND e.journey_id = :journey_id GROUP BY e.state
    UNION ALL
    SELECT enrolment_state('LIVE'), count(*) FROM actor AS a WHERE a.team_id = :team_id AND a.live_journey_id = :journey_id
), parked AS (
    SELECT count(*) AS n FROM parked_customer AS k
     CROSS JOIN LATERAL (
        SELECT FROM enrolment AS e
         WHERE e.partition = k.partition AND e.team_id = k.team_id AND e.customer_id = k.customer_id
           AND e.journey_id = :journey_id AND e.state = enrolment_state('LIVE')
        UNION ALL
        SELECT FROM actor AS a
         WHERE a.partition = k.partition AND a.team_id = k.team_id AND a.customer_id = k.customer_id
           AND a.live_journey_id = :journey_id) AS inside
     WHERE k.team_id = :team_id
), counted AS (
    SELECT state, n FROM stands
    UNION ALL SELECT enrolment_state('LIVE'), -n FROM parked
    UNION ALL SELECT enrolment_state('PARKED'), n FROM parked
)
SELECT state, sum(n)::bigint AS n FROM counted GROUP BY state HAVING sum(n) > 0;

-- name: is_anybody_parked_inside
SELECT EXISTS (
    SELECT FROM parked_customer AS k
     CROSS JOIN LATERAL (
        SELECT FROM enrolment AS e
         WHERE e.partition = k.partition AND e.team_id = k.team_id AND e.customer_id = k.customer_id
           AND e.journey_id = :journey_id AND e.state = enrolment_state('LIVE')
        UNION ALL
        SELECT FROM actor AS a
         WHERE a.partition = k.partition AND a.team_id = k.team_id AND a.customer_id = k.customer_id
           AND a.live_journey_id = :journey_id) AS inside
     WHERE k.team_id = :team_id);

-- name: count_waits
-- Of who is inside, by the indexes alone. A node that is null: of rows that are not placed yet.
SELECT node_id, rest, sum(n)::bigint AS n, min(wake_at) AS wake_at FROM (
    SELECT a.live_node AS node_id, a.live_wait AS rest, count(*) AS n, min(a.live_wake_at) AS wake_at FROM actor AS a
     WHERE a.team_id = :team_id AND a.live_journey_id = :journey_id GROUP BY a.live_node, a.live_wait
    UNION ALL
    SELECT e.node_id, e.rest, count(*), min(e.wake_at) FROM enrolment AS e
     WHERE e.team_id = :team_id AND e.journey_id = :journey_id AND e.state = enrolment_state('LIVE') GROUP BY e.node_id, e.rest
) AS stands GROUP BY node_id, rest ORDER BY node_id, rest;

-- name: count_waits_beside_parked
-- The same where parked customers are inside, who are left out.
SELECT node_id, rest, sum(n)::bigint AS n, min(wake_at) AS wake_at FROM (
    SELECT a.live_node AS node_id, a.live_wait AS rest, count(*) AS n, min(a.live_wake_at) AS wake_at FROM actor AS a
     WHERE a.team_id = :team_id AND a.live_journey_id = :journey_id
       AND NOT EXISTS (
            SELECT FROM parked_customer AS k
             WHERE k.partition = a.partition AND k.team_id = a.team_id AND k.customer_id = a.customer_id)
     GROUP BY a.live_node, a.live_wait
    UNION ALL
    SELECT e.node_id, e.rest, count(*), min(e.wake_at) FROM enrolment AS e
     WHERE e.team_id = :team_id AND e.journey_id = :journey_id AND e.state = enrolment_state('LIVE')
       AND NOT EXISTS (
            SELECT FROM parked_customer AS k
             WHERE k.partition = e.partition AND k.team_id = e.team_id AND k.customer_id = e.customer_id)
     GROUP BY e.node_id, e.rest
) AS stands GROUP BY node_id, rest ORDER BY node_id, rest;

-- name: take_unplaced
-- Actors whose columns do not say yet where the customer stands, held until they do; not those that a turn writes now.
SELECT partition, team_id, customer_id, live_enrolment_id, live_journey_id, live_since, state FROM actor
 WHERE team_id = :team_id AND live_journey_id IS NOT NULL AND live_node IS NULL AND state IS NOT NULL
   AND (:journey_id::uuid IS NULL OR live_journey_id = :journey_id)
 LIMIT :limit FOR UPDATE SKIP LOCKED;

-- name: place_actors
UPDATE actor AS a SET live_node = n.live_node, live_wake_at = n.live_wake_at
  FROM unnest(:partitions::smallint[], :customer_ids::uuid[], :nodes::text[], :wakes::timestamptz[])
       AS n (partition, customer_id, live_node, live_wake_at)
 WHERE a.partition = n.partition AND a.team_id = :team_id AND a.customer_id = n.customer_id;

-- name: records_of_commits
-- In the order of the commits. Those of who was merged into the customer lie in other shards.
SELECT body FROM history_record
 WHERE team_id = :team_id AND commit_key = ANY (:commit_keys::bigint[])
   AND shard = ANY (ARRAY(
        SELECT :shard::smallint UNION
        SELECT m.shard FROM merged_customer AS m WHERE m.team_id = :team_id AND m.survivor_id = :customer_id))
 ORDER BY array_position(:commit_keys::bigint[], commit_key), position;

-- name: history_of_enrolment
-- What was told before there were records.
SELECT body FROM history WHERE team_id = :team_id AND enrolment_id = :enrolment_id AND kind = fact_kind('RUN_SEGMENT') ORDER BY position;

-- name: bodies_of_commits
-- In every shard: the customers of a page lie in several, and who was merged into one of them in others.
SELECT body FROM history_record WHERE team_id = :team_id AND commit_key = ANY (:commit_keys::bigint[]);

-- name: history_of_enrolments
-- What was told before there were records.
SELECT enrolment_id, body FROM history
 WHERE team_id = :team_id AND enrolment_id = ANY (:enrolment_ids::uuid[]) AND kind = fact_kind('RUN_SEGMENT');
