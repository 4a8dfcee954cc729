-- The clock of the installation: `platform.clock`, one row.

-- name: read_clock
SELECT real_anchor, domain_anchor, rate, version, clock_timestamp() AS server_now FROM platform.clock

-- name: read_clock_version
SELECT version FROM platform.clock

-- name: set_clock
SELECT platform.set_clock(:rate, :domain_time, :expected_version)

-- name: begin_clock
-- Holds one that was never used.
UPDATE platform.clock SET real_anchor = clock_timestamp(), domain_anchor = :domain_time, rate = 0, version = 2
 WHERE version = 1
RETURNING version
