-- The history that other services read.

-- name: append_history
INSERT INTO history (partition, position, team_id, journey_id, customer_id, enrolment_id, at, kind, body)
SELECT * FROM unnest(:partitions::smallint[], allocate_positions(:partitions::smallint[]), :team_ids::uuid[],
                     :journey_ids::uuid[], :customer_ids::uuid[], :enrolment_ids::uuid[], :times::timestamptz[],
                     :kinds::smallint[], :bodies::bytea[]);
