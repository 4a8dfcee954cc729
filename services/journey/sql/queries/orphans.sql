-- Live enrolments that nothing would wake.

-- name: count_orphans
SELECT count_orphans();

-- name: resting_sends
SELECT partition, team_id, customer_id, enrolment_id, since
  FROM resting_sends(:partitions::smallint[], :after_partition::smallint, :after_since, :after_customer_id, :until, :limit);

-- name: known_orphans
SELECT partition, team_id, customer_id, enrolment_id FROM known_orphans(:partitions::smallint[], :limit);

-- name: live_enrolments
-- Of these, those that are live, with what their actor has taken, as of one moment: the row that the enrolment has, or the columns of the
-- actor that name it, with `packed` in place of what the state holds.
SELECT k.partition, k.team_id, k.customer_id, k.enrolment_id, COALESCE(a.taken_gateway, 0) AS taken_gateway, e.node_id, e.visit,
       e.rest, e.updated_at, a.live_journey_id AS journey_id, a.live_since AS created_at,
       CASE WHEN a.live_enrolment_id = k.enrolment_id THEN a.state END AS packed
  FROM unnest(:keys::enrolment_key[]) AS k
  LEFT JOIN actor AS a USING (partition, team_id, customer_id)
  LEFT JOIN enrolment AS e USING (partition, team_id, customer_id, enrolment_id)
 WHERE a.live_enrolment_id = k.enrolment_id OR e.state = enrolment_state('LIVE');

-- name: keep_orphans
INSERT INTO orphan (partition, team_id, customer_id, enrolment_id, rest, rested_at)
SELECT * FROM unnest(:rows::orphan_row[])
ON CONFLICT DO NOTHING
RETURNING true;

-- name: orphans_as_found
SELECT o.partition, o.team_id, o.customer_id, o.enrolment_id, o.rest, o.rested_at
  FROM unnest(:keys::enrolment_key[]) AS k JOIN orphan AS o USING (partition, team_id, customer_id, enrolment_id);

-- name: forget_orphans
DELETE FROM orphan AS o
 USING unnest(:keys::enrolment_key[]) AS k
 WHERE o.partition = k.partition AND o.team_id = k.team_id AND o.customer_id = k.customer_id
   AND o.enrolment_id = k.enrolment_id;
