-- Leases of partitions: `partition_lease` (one row a partition) and `lease_worker`, in the schema of the service that uses them. Locks
-- are taken in the order of partitions by everybody: commits share them, renewals and hand-overs need them alone.

-- name: check_fence
SELECT l.partition FROM unnest(:partitions::smallint[], :epochs::bigint[]) AS k (partition, epoch)
  JOIN partition_lease AS l ON l.partition = k.partition AND l.epoch = k.epoch
 ORDER BY l.partition FOR SHARE OF l

-- name: lease_sign_on
-- Of the other workers it tells how many there are with a share, and forgets those that are gone for long.
WITH forgotten AS (
    DELETE FROM lease_worker WHERE expires_at < clock_timestamp() - interval '1 minute' AND worker_id <> :worker_id
), me AS (
    INSERT INTO lease_worker (worker_id, expires_at, draining)
    VALUES (:worker_id, clock_timestamp() + make_interval(secs => :lease_s), :draining)
    ON CONFLICT (worker_id) DO UPDATE SET expires_at = excluded.expires_at
    RETURNING draining
)
SELECT me.draining,
       (SELECT count(*) FROM lease_worker WHERE worker_id <> :worker_id AND expires_at > clock_timestamp() AND NOT draining)
  FROM me

-- name: lease_renew
WITH mine AS (SELECT partition FROM partition_lease WHERE owner = :worker_id ORDER BY partition FOR UPDATE)
UPDATE partition_lease AS l SET expires_at = clock_timestamp() + make_interval(secs => :lease_s)
  FROM mine WHERE l.partition = mine.partition RETURNING l.partition, l.epoch

-- name: lease_acquire
UPDATE partition_lease
   SET owner = :worker_id, epoch = epoch + 1, expires_at = clock_timestamp() + make_interval(secs => :lease_s)
 WHERE partition IN (
    SELECT partition FROM partition_lease WHERE expires_at < clock_timestamp()
     ORDER BY partition LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING partition, epoch

-- name: lease_release
WITH mine AS (
    SELECT partition FROM partition_lease WHERE owner = :worker_id AND partition = ANY (:partitions::smallint[])
     ORDER BY partition FOR UPDATE
)
UPDATE partition_lease AS l SET owner = NULL, expires_at = '-infinity' FROM mine WHERE l.partition = mine.partition

-- name: lease_raise
UPDATE partition_lease SET epoch = epoch + 1 WHERE partition = :partition

-- name: lease_sign_off
DELETE FROM lease_worker WHERE worker_id = :worker_id
