-- Customers that were set aside after repeated faults.

-- name: park_customer
INSERT INTO parked_customer (partition, team_id, customer_id, error, attempts, parked_at)
VALUES (:partition, :team_id, :customer_id, :error, :attempts, clock_timestamp())
ON CONFLICT (partition, team_id, customer_id) DO UPDATE SET error = excluded.error, attempts = excluded.attempts;

-- name: unpark_customer
DELETE FROM parked_customer
 WHERE partition = :partition AND team_id = :team_id AND customer_id = :customer_id RETURNING true;

-- name: list_parked
SELECT customer_id, error, attempts, parked_at FROM parked_customer
 WHERE team_id = :team_id AND customer_id > :after ORDER BY customer_id LIMIT :limit;

-- name: list_one_parked
SELECT customer_id, error, attempts, parked_at FROM parked_customer
 WHERE partition = :partition AND team_id = :team_id AND customer_id = :customer_id;

-- name: hold_parked
-- Locks the row until the transaction ends: a retry waits, or has come first.
SELECT true FROM parked_customer
 WHERE partition = :partition AND team_id = :team_id AND customer_id = :customer_id FOR UPDATE;

-- name: drop_mail
-- The actor has taken all mail up to these numbers, without acting on it.
INSERT INTO actor AS a (partition, team_id, customer_id, taken_segment, taken_gateway, taken_journey)
VALUES (:partition, :team_id, :customer_id, :segment, :gateway, :journey)
ON CONFLICT (partition, team_id, customer_id) DO UPDATE
   SET taken_segment = greatest(a.taken_segment, excluded.taken_segment),
       taken_gateway = greatest(a.taken_gateway, excluded.taken_gateway),
       taken_journey = greatest(a.taken_journey, excluded.taken_journey);

-- name: halt_enrolments
UPDATE enrolment SET state = enrolment_state('HALTED'), rest = wait_reason('NONE'), wake_at = NULL, updated_at = :now
 WHERE partition = :partition AND team_id = :team_id AND customer_id = :customer_id
   AND enrolment_id = ANY (:enrolment_ids::uuid[]) AND state = enrolment_state('LIVE');

-- name: refresh_waits
-- The actor's row keeps what the customer's live enrolments wait for; made again after some were changed outside a turn.
UPDATE actor AS a
   SET wake_at = (SELECT min(e.wake_at) FROM enrolment AS e
                   WHERE e.partition = :partition AND e.team_id = :team_id AND e.customer_id = :customer_id AND e.state = enrolment_state('LIVE')),
       sending_since = (SELECT min(e.updated_at) FROM enrolment AS e
                         WHERE e.partition = :partition AND e.team_id = :team_id AND e.customer_id = :customer_id
                           AND e.state = enrolment_state('LIVE') AND e.rest = wait_reason('SEND'))
 WHERE a.partition = :partition AND a.team_id = :team_id AND a.customer_id = :customer_id;
