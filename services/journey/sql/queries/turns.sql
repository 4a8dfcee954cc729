-- The batches of turns: one load, one commit. What the functions do stands in their files.

-- name: load_turns
SELECT place, parked, taken_segment, taken_gateway, taken_journey, enrolment_id, journey_id, created_at, entries, state, verdicts,
       actor_version, version
  FROM load_turns_v3(:team_ids, :partitions, :actor_team_ids, :customer_ids);

-- name: load_unpacked
SELECT place, enrolment_id, journey_id, trigger_event_id, created_at, updated_at, wake_at, depth, rest, visit, node_id
  FROM load_unpacked(:team_ids, :partitions, :actor_team_ids, :customer_ids);

-- name: commit_turns
SELECT commit_turns_v4(:team_ids, :partitions, :epochs, :journey_ids, :versions, :known_ids, :known_versions, :actors, :enrolments,
                       :commit_key, :records);

-- name: write_turns
SELECT write_turns_v3(:actors, :enrolments, :commit_key, :records);

-- name: hold_journeys_to_change
SELECT hold_journeys(:journey_ids, :versions, true);

-- name: prove_journeys
SELECT prove_journeys(:team_ids, :known_ids, :known_versions);

-- name: keep_verdicts
SELECT key, belongs, reason
  FROM keep_verdicts_v3(:team_ids, :partitions, :epochs, :rows, :enrolment_ids, :keys, :moved, :known_ids, :known_versions);

-- name: look_at_timers
SELECT partition, team_id, customer_id, wake_at FROM look_at_timers(:partitions, :until, :limit, :partition_limit);

-- name: look_ahead
SELECT due, following FROM look_ahead(:now);

-- name: halting_customers
-- Customers who stand in a stopping journey and do not wait for a send. Parked ones wait for an operator: they would only
-- take the places of those who can be halted.
SELECT DISTINCT partition, team_id, customer_id
  FROM (SELECT e.partition, e.team_id, e.customer_id
          FROM (SELECT a.partition, a.team_id, a.customer_id FROM actor AS a
                 WHERE a.team_id = :team_id AND a.live_journey_id = :journey_id AND a.live_wait <> wait_reason('SEND')
                UNION ALL
                SELECT r.partition, r.team_id, r.customer_id FROM enrolment AS r
                 WHERE r.team_id = :team_id AND r.journey_id = :journey_id AND r.state = enrolment_state('LIVE')
                   AND r.rest <> wait_reason('SEND')) AS e
         WHERE e.partition = ANY (:partitions::smallint[])
           AND NOT EXISTS (
                SELECT FROM parked_customer AS k
                 WHERE k.partition = e.partition AND k.team_id = e.team_id AND k.customer_id = e.customer_id)
         LIMIT :limit) AS page;

-- name: load_checkpoints
SELECT partition, source, position FROM mail_checkpoint WHERE partition = ANY (:partitions::smallint[]);

-- name: save_checkpoints
-- Checkpoints only go forward.
INSERT INTO mail_checkpoint (partition, source, position)
SELECT * FROM unnest(:partitions::smallint[], :sources::smallint[], :positions::bigint[])
ON CONFLICT (partition, source) DO UPDATE SET position = excluded.position
 WHERE mail_checkpoint.position < excluded.position;
