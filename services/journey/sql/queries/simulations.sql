-- Simulations.

-- name: insert_simulation
INSERT INTO simulation (team_id, simulation_id, journey_id, definition, start_at, end_at, created_at)
VALUES (:team_id, :simulation_id, :journey_id, :definition, :start_at, :end_at, :created_at)

-- name: count_unfinished_simulations
SELECT count(*) FROM simulation
 WHERE team_id = :team_id AND state IN (operation_state('PENDING'), operation_state('RUNNING'))

-- name: forget_simulations
-- Those that have ended, but for the newest `kept`.
DELETE FROM simulation
 WHERE team_id = :team_id AND ended_at IS NOT NULL AND simulation_id NOT IN (
    SELECT simulation_id FROM simulation WHERE team_id = :team_id ORDER BY created_at DESC, simulation_id DESC LIMIT :kept)

-- name: read_simulation
SELECT team_id, simulation_id, journey_id, definition, start_at, end_at, state, done, tries, reason, message, findings, counts,
       created_at, ended_at
  FROM simulation WHERE team_id = :team_id AND simulation_id = :simulation_id

-- name: lock_simulation
SELECT team_id, simulation_id, journey_id, definition, start_at, end_at, state, done, tries, reason, message, findings, counts,
       created_at, ended_at
  FROM simulation WHERE team_id = :team_id AND simulation_id = :simulation_id FOR UPDATE

-- name: list_simulations
SELECT team_id, simulation_id, journey_id, definition, start_at, end_at, state, done, tries, reason, message, NULL::bytea AS findings,
       NULL::bytea AS counts, created_at, ended_at
  FROM simulation
 WHERE team_id = :team_id
   AND (:after_created_at::timestamptz IS NULL OR (created_at, simulation_id) < (:after_created_at, :after_simulation_id::uuid))
 ORDER BY created_at DESC, simulation_id DESC LIMIT :row_max

-- name: claim_simulation
SELECT team_id, simulation_id FROM claim_simulation(:own, :claim_s)

-- name: note_simulated
-- Whether it is still the claim's. Counts that are null leave those of before.
UPDATE simulation
   SET done = :done, counts = coalesce(:counts, counts), claimed_until = clock_timestamp() + make_interval(secs => :claim_s)
 WHERE team_id = :team_id AND simulation_id = :simulation_id AND claim = :own AND state = operation_state('RUNNING')
RETURNING true

-- name: leave_simulation
-- Somebody else may begin it again after `pause_s`.
UPDATE simulation
   SET claim = NULL, claimed_until = clock_timestamp() + make_interval(secs => :pause_s), tries = :tries, counts = NULL
 WHERE team_id = :team_id AND simulation_id = :simulation_id AND claim = :own AND state = operation_state('RUNNING')

-- name: end_simulation
UPDATE simulation
   SET state = :state, done = :done, reason = :reason, message = :message, findings = :findings, counts = NULL, ended_at = :ended_at,
       claim = NULL, claimed_until = NULL
 WHERE team_id = :team_id AND simulation_id = :simulation_id AND claim = :own AND state = operation_state('RUNNING')

-- name: cancel_simulation
UPDATE simulation SET state = operation_state('CANCELLED'), ended_at = :ended_at, counts = NULL, claim = NULL, claimed_until = NULL
 WHERE team_id = :team_id AND simulation_id = :simulation_id
