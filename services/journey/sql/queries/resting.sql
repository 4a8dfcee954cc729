-- Customers who rest for quiet time in a journey whose do-not-disturb was drawn otherwise, made due by one process at a time.

-- name: claim_waking
-- Of a later epoch than what is done or under way, or of one whose owner has not come on in time.
INSERT INTO resting_wake AS w (team_id, journey_id, epoch, owner, claimed_until)
VALUES (:team_id, :journey_id, :epoch, :owner, clock_timestamp() + make_interval(secs => :claim_s))
ON CONFLICT (team_id, journey_id) DO UPDATE
   SET epoch = excluded.epoch, owner = excluded.owner, claimed_until = excluded.claimed_until, done = false
 WHERE w.epoch < excluded.epoch OR (w.epoch = excluded.epoch AND NOT w.done AND w.claimed_until < clock_timestamp())
RETURNING true;

-- name: is_waking_done
SELECT done FROM resting_wake WHERE team_id = :team_id AND journey_id = :journey_id AND epoch >= :epoch;

-- name: hold_waking
UPDATE resting_wake SET claimed_until = clock_timestamp() + make_interval(secs => :claim_s)
 WHERE team_id = :team_id AND journey_id = :journey_id AND epoch = :epoch AND owner = :owner AND NOT done
RETURNING true;

-- name: end_waking
UPDATE resting_wake SET done = true
 WHERE team_id = :team_id AND journey_id = :journey_id AND epoch = :epoch AND owner = :owner AND NOT done
RETURNING true;

-- name: resting_actors
-- Of a page of those who are inside, those who rest; whose actor names the enrolment. With all who entered at the moment of the last: the
-- next page begins before that.
SELECT array_agg(partition) FILTER (WHERE rests) AS partitions, array_agg(customer_id) FILTER (WHERE rests) AS customer_ids,
       count(*) AS looked_at, min(since) AS since
  FROM (SELECT partition, customer_id, live_since AS since, live_wait = wait_reason('QUIET') AS rests FROM actor
         WHERE team_id = :team_id AND live_journey_id = :journey_id AND live_since < COALESCE(:before::timestamptz, 'infinity')
         ORDER BY live_since DESC FETCH FIRST (:limit) ROWS WITH TIES) AS page;

-- name: resting_listed
-- The same of enrolments that have rows.
SELECT array_agg(partition) AS partitions, array_agg(customer_id) AS customer_ids, count(*) AS looked_at, min(created_at) AS since
  FROM (SELECT partition, customer_id, created_at FROM enrolment
         WHERE team_id = :team_id AND journey_id = :journey_id AND created_at < COALESCE(:before::timestamptz, 'infinity')
           AND state = enrolment_state('LIVE') AND rest = wait_reason('QUIET')
         ORDER BY created_at DESC FETCH FIRST (:limit) ROWS WITH TIES) AS page;

-- name: wake_customers
-- Makes customers due at `now`, if they wait for a timer: their turn finds until when they rest. A turn that began before finds another
-- version. Those whose row a turn holds are passed over, and returned.
WITH found AS (
    SELECT a.partition, a.customer_id
      FROM unnest(:partitions::smallint[], :customer_ids::uuid[]) AS k (partition, customer_id)
      JOIN actor AS a ON a.partition = k.partition AND a.team_id = :team_id AND a.customer_id = k.customer_id
     WHERE a.wake_at IS NOT NULL
), held AS (
    SELECT a.ctid AS place
      FROM found AS f
      JOIN actor AS a ON a.partition = f.partition AND a.team_id = :team_id AND a.customer_id = f.customer_id
       FOR UPDATE OF a SKIP LOCKED
), woken AS (
    UPDATE actor AS a SET wake_at = LEAST(a.wake_at, :now), version = a.version + 1 FROM held AS h WHERE a.ctid = h.place
    RETURNING a.partition, a.customer_id
)
SELECT f.partition, f.customer_id FROM found AS f
 WHERE NOT EXISTS (SELECT FROM woken AS w WHERE w.partition = f.partition AND w.customer_id = f.customer_id);

-- name: wake_customer
-- The same of one, once no turn holds it. One that waits for no timer any more has had a turn.
UPDATE actor SET wake_at = LEAST(wake_at, :now), version = version + 1
 WHERE partition = :partition AND team_id = :team_id AND customer_id = :customer_id AND wake_at IS NOT NULL;
