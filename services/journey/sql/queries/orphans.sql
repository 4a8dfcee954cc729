-- Live enrolments that nothing would wake.

-- name: count_orphans
SELECT count_orphans();

-- name: resting_sends
SELECT partition, team_id, customer_id, enrolment_id, since
  FROM resting_sends(:partitions::smallint[], :after_partition::smallint, :after_since, :after_customer_id, :until, :limit);

-- name: known_orphans
SELECT partition, team_id, customer_id, enrolment_id FROM known_orphans(:partitions::smallint[], :limit);

-- name: suspects
-- Enrolment and actor as of one moment.
SELECT e.partition, e.team_id, e.customer_id, e.enrolment_id, e.node_id, e.visit, e.rest, e.updated_at,
       COALESCE(a.taken_gateway, 0) AS taken_gateway
  FROM unnest(:keys::enrolment_key[]) AS k
  JOIN enrolment AS e USING (partition, team_id, customer_id, enrolment_id)
  LEFT JOIN actor AS a USING (partition, team_id, customer_id)
 WHERE e.state = enrolment_state('LIVE') AND e.rest = wait_reason('SEND');

-- name: keep_orphans
INSERT INTO orphan (partition, team_id, customer_id, enrolment_id, rest, rested_at)
SELECT * FROM unnest(:rows::orphan_row[])
ON CONFLICT DO NOTHING
RETURNING true;

-- name: forget_healed
-- Of these, those whose enrolment is not as it was found.
DELETE FROM orphan AS o
 USING unnest(:keys::enrolment_key[]) AS k
 WHERE o.partition = k.partition AND o.team_id = k.team_id AND o.customer_id = k.customer_id
   AND o.enrolment_id = k.enrolment_id
   AND NOT EXISTS (
        SELECT FROM enrolment AS e
         WHERE e.partition = o.partition AND e.team_id = o.team_id AND e.customer_id = o.customer_id
           AND e.enrolment_id = o.enrolment_id AND e.state = enrolment_state('LIVE') AND e.rest = o.rest AND e.updated_at = o.rested_at)
RETURNING o.partition, o.team_id, o.customer_id, o.enrolment_id;
