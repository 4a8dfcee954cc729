-- Persons: what is held of one, and how it is taken out.

-- name: blank_notes
-- What people noted when they ended enrolments of the customer, and what triggers came with. That there was something stays known.
UPDATE mail SET note = CASE WHEN note IS NOT NULL THEN '' END, data = CASE WHEN data IS NOT NULL THEN '{}'::jsonb END
 WHERE team_id = :team_id AND customer_id = :customer_id AND (note <> '' OR data <> '{}');

-- name: record_bodies
-- The records of these commits, with their places.
SELECT shard, position, body FROM history_record
 WHERE team_id = :team_id AND commit_key = ANY (:commit_keys::bigint[]) ORDER BY shard, position;

-- name: replace_records
UPDATE history_record AS r SET body = n.body
  FROM unnest(:shards::smallint[], :positions::bigint[], :bodies::bytea[]) AS n (shard, position, body)
 WHERE r.shard = n.shard AND r.position = n.position;

-- name: last_own_number
SELECT number FROM mail_number WHERE team_id = :team_id AND customer_id = :customer_id;

-- name: enrolments_with_steps
-- Of a team, in the order of a partition's keys after one.
SELECT partition, customer_id, enrolment_id, updated_at, commit_keys,
       state NOT IN (enrolment_state('LIVE'), enrolment_state('PARKED')) AS ended
  FROM enrolment
 WHERE partition = :partition AND team_id = :team_id AND (customer_id, enrolment_id) > (:customer_id, :enrolment_id)
 ORDER BY customer_id, enrolment_id LIMIT :row_max;

-- name: forget_steps
-- Without the commits that they took part in, nothing finds their steps.
UPDATE enrolment AS e SET commit_keys = NULL
  FROM unnest(:partitions::smallint[], :customers::uuid[], :enrolments::uuid[]) AS n (partition, customer_id, enrolment_id)
 WHERE e.partition = n.partition AND e.team_id = :team_id AND e.customer_id = n.customer_id AND e.enrolment_id = n.enrolment_id;
