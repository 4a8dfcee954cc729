-- Customers that were set aside after repeated faults.

-- name: park_customer
INSERT INTO parked_customer (partition, team_id, customer_id, error, attempts, parked_at)
VALUES (:partition, :team_id, :customer_id, :error, :attempts, clock_timestamp())
ON CONFLICT (partition, team_id, customer_id) DO UPDATE SET error = excluded.error, attempts = excluded.attempts;

-- name: unpark_customer
-- Whoever is inside a journey has a turn at once, whichever process owns the partition: it may have stopped meanwhile.
WITH woken AS (
    UPDATE actor SET wake_at = LEAST(wake_at, :now), version = version + 1
     WHERE partition = :partition AND team_id = :team_id AND customer_id = :customer_id
       AND (wake_at IS NOT NULL OR sending_since IS NOT NULL)
)
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
