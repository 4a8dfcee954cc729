-- Leases and workers as operators see them; `libs/common/leases.py` takes and renews them.

-- name: list_workers
SELECT worker_id, expires_at, draining FROM lease_worker WHERE expires_at > clock_timestamp() ORDER BY worker_id;

-- name: set_draining
UPDATE lease_worker SET draining = :draining
 WHERE worker_id = :worker_id AND expires_at > clock_timestamp() RETURNING true;

-- name: count_leases
SELECT count(*) FROM partition_lease WHERE owner = :worker_id;

-- name: list_leases
SELECT partition, owner, epoch, expires_at FROM partition_lease WHERE owner IS NOT NULL;
