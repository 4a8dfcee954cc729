-- All SQL of the journey service. Each query begins with its name; parameters are described where they are not plain.

-- ======== turns ========
-- What these functions do stands in the migration that made them.

-- name: load_turns
-- $1 teams without doubles; $2 partitions, $3 teams, $4 customers, in parallel.
SELECT place, parked, taken_segment, taken_gateway, taken_journey, entries, enrolment_id, journey_id, trigger_event_id,
       created_at, wake_at, depth, rest, visit, node_id, version
  FROM load_turns($1, $2, $3, $4);

-- name: commit_turns
SELECT commit_turns($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                    $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37);

-- name: write_turns
SELECT write_turns($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                   $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32);

-- name: hold_journeys_to_change
SELECT hold_journeys($1, $2, true);

-- name: keep_verdicts
SELECT key, belongs, reason FROM keep_verdicts($1, $2, $3, $4, $5, $6, $7, $8);

-- name: look_at_timers
SELECT partition, team_id, customer_id, wake_at FROM look_at_timers($1, $2, $3, $4);

-- name: journeys_by_id
SELECT team_id, journey_id, status, reason, revision, version, stop_epoch, definition, created_at, updated_at, published_at
  FROM journey WHERE journey_id = ANY ($1::uuid[]);

-- name: append_history
-- One array per column of a row.
INSERT INTO history (partition, position, team_id, journey_id, customer_id, enrolment_id, at, kind, body)
SELECT * FROM unnest($1::smallint[], allocate_positions($1::smallint[]), $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[],
                     $6::timestamptz[], $7::smallint[], $8::bytea[]);

-- name: look_ahead
SELECT due, following FROM look_ahead($1);

-- name: halting_customers
-- Customers who stand in a stopping journey and do not wait for a send. $1 partitions, $2 journey, $3 at most.
SELECT DISTINCT partition, team_id, customer_id
  FROM (SELECT partition, team_id, customer_id FROM enrolment
         WHERE team_id = $1 AND journey_id = $2 AND state = 1 AND rest <> 2 AND partition = ANY ($3::smallint[])
         LIMIT $4) AS page;

-- name: park_customer
INSERT INTO parked_customer (partition, team_id, customer_id, error, attempts, parked_at)
VALUES ($1, $2, $3, $4, $5, clock_timestamp())
ON CONFLICT (partition, team_id, customer_id) DO UPDATE SET error = excluded.error, attempts = excluded.attempts;

-- name: unpark_customer
DELETE FROM parked_customer WHERE partition = $1 AND team_id = $2 AND customer_id = $3 RETURNING true;

-- name: list_parked
SELECT customer_id, error, attempts, parked_at FROM parked_customer
 WHERE team_id = $1 AND customer_id > $2 ORDER BY customer_id LIMIT $3;

-- name: list_one_parked
SELECT customer_id, error, attempts, parked_at FROM parked_customer
 WHERE partition = $1 AND team_id = $2 AND customer_id = $3;

-- name: hold_parked
SELECT true FROM parked_customer WHERE partition = $1 AND team_id = $2 AND customer_id = $3 FOR UPDATE;

-- name: drop_mail
-- The actor has taken all mail up to these numbers, without acting on it.
INSERT INTO actor AS a (partition, team_id, customer_id, taken_segment, taken_gateway, taken_journey)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (partition, team_id, customer_id) DO UPDATE
   SET taken_segment = greatest(a.taken_segment, excluded.taken_segment),
       taken_gateway = greatest(a.taken_gateway, excluded.taken_gateway),
       taken_journey = greatest(a.taken_journey, excluded.taken_journey);

-- name: rest_anew
-- What a customer's live enrolments rest for, after some were changed outside a turn.
UPDATE actor AS a
   SET wake_at = (SELECT min(e.wake_at) FROM enrolment AS e
                   WHERE e.partition = $1 AND e.team_id = $2 AND e.customer_id = $3 AND e.state = 1),
       sending_since = (SELECT min(e.updated_at) FROM enrolment AS e
                         WHERE e.partition = $1 AND e.team_id = $2 AND e.customer_id = $3 AND e.state = 1 AND e.rest = 2)
 WHERE a.partition = $1 AND a.team_id = $2 AND a.customer_id = $3;

-- name: halt_enrolments
UPDATE enrolment SET state = 3, rest = 0, wake_at = NULL, updated_at = $5
 WHERE partition = $1 AND team_id = $2 AND customer_id = $3 AND enrolment_id = ANY ($4::uuid[]) AND state = 1;

-- name: list_workers
SELECT worker_id, expires_at, draining FROM lease_worker WHERE expires_at > clock_timestamp() ORDER BY worker_id;

-- name: set_draining
UPDATE lease_worker SET draining = $2 WHERE worker_id = $1 AND expires_at > clock_timestamp() RETURNING true;

-- name: count_leases
SELECT count(*) FROM partition_lease WHERE owner = $1;

-- name: list_leases
SELECT partition, owner, epoch, expires_at FROM partition_lease WHERE owner IS NOT NULL;

-- name: count_orphans
SELECT count_orphans();

-- name: resting_sends
SELECT partition, team_id, customer_id, enrolment_id, since
  FROM resting_sends($1::smallint[], $2::smallint, $3, $4, $5, $6);

-- name: known_orphans
SELECT partition, team_id, customer_id, enrolment_id FROM known_orphans($1::smallint[], $2);

-- name: suspects
-- $1 partitions, $2 teams, $3 customers, $4 enrolments, in parallel. Enrolment and actor as of one moment.
SELECT e.partition, e.team_id, e.customer_id, e.enrolment_id, e.node_id, e.visit, e.rest, e.updated_at,
       COALESCE(a.taken_gateway, 0) AS taken_gateway
  FROM unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[]) AS k (partition, team_id, customer_id, enrolment_id)
  JOIN enrolment AS e USING (partition, team_id, customer_id, enrolment_id)
  LEFT JOIN actor AS a USING (partition, team_id, customer_id)
 WHERE e.state = 1 AND e.rest = 2;

-- name: keep_orphans
INSERT INTO orphan (partition, team_id, customer_id, enrolment_id, rest, rested_at)
SELECT * FROM unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::smallint[], $6::timestamptz[])
ON CONFLICT DO NOTHING
RETURNING true;

-- name: forget_healed
-- Of these, those whose enrolment is not as it was found.
DELETE FROM orphan AS o
 USING unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[]) AS k (partition, team_id, customer_id, enrolment_id)
 WHERE o.partition = k.partition AND o.team_id = k.team_id AND o.customer_id = k.customer_id
   AND o.enrolment_id = k.enrolment_id
   AND NOT EXISTS (
        SELECT FROM enrolment AS e
         WHERE e.partition = o.partition AND e.team_id = o.team_id AND e.customer_id = o.customer_id
           AND e.enrolment_id = o.enrolment_id AND e.state = 1 AND e.rest = o.rest AND e.updated_at = o.rested_at)
RETURNING o.partition, o.team_id, o.customer_id, o.enrolment_id;

-- name: load_checkpoints
SELECT partition, source, position FROM mail_checkpoint WHERE partition = ANY ($1::smallint[]);

-- name: save_checkpoints
INSERT INTO mail_checkpoint (partition, source, position)
SELECT * FROM unnest($1::smallint[], $2::smallint[], $3::bigint[])
ON CONFLICT (partition, source) DO UPDATE SET position = excluded.position
 WHERE mail_checkpoint.position < excluded.position;

-- ======== life of journeys ========

-- name: changing_journeys
SELECT team_id, journey_id FROM changing_journeys($1);

-- name: insert_journey
INSERT INTO journey (team_id, journey_id, status, revision, version, name, name_folded, trigger_type, definition,
                     starts_at, ends_at, created_at, updated_at)
VALUES ($1, $2, 1, 1, 1, $3, $4, $5, $6, $7, $8, $9, $9);

-- name: insert_revision
INSERT INTO journey_revision (team_id, journey_id, revision, definition, actor, created_at)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: get_journey
SELECT team_id, journey_id, status, reason, revision, version, stop_epoch, definition, created_at, updated_at, published_at
  FROM journey WHERE team_id = $1 AND journey_id = $2 AND deleted_at IS NULL;

-- name: get_journey_for_change
SELECT team_id, journey_id, status, reason, revision, version, stop_epoch, definition, created_at, updated_at, published_at
  FROM journey WHERE team_id = $1 AND journey_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE;

-- name: list_journeys
-- $2 statuses or null, $3 trigger type or null, $4 part of the folded name or null, $5/$6 keyset or null.
SELECT team_id, journey_id, status, reason, revision, version, stop_epoch, definition, created_at, updated_at, published_at
  FROM journey
 WHERE team_id = $1 AND deleted_at IS NULL
   AND ($2::smallint[] IS NULL OR status = ANY ($2))
   AND ($3::text IS NULL OR trigger_type = $3)
   AND ($4::text IS NULL OR strpos(name_folded, $4) > 0)
   AND ($5::timestamptz IS NULL OR (created_at, journey_id) < ($5, $6::uuid))
 ORDER BY created_at DESC, journey_id DESC LIMIT $7;

-- name: update_definition
UPDATE journey
   SET name = $3, name_folded = $4, trigger_type = $5, definition = $6, starts_at = $7, ends_at = $8, updated_at = $9,
       revision = revision + 1, version = version + 1
 WHERE team_id = $1 AND journey_id = $2;

-- name: change_status
UPDATE journey
   SET status = $3, reason = $4, stop_epoch = stop_epoch + $5, updated_at = $6,
       published_at = COALESCE(published_at, $7), version = version + 1
 WHERE team_id = $1 AND journey_id = $2;

-- name: delete_journey
UPDATE journey SET deleted_at = $3, updated_at = $3, version = version + 1 WHERE team_id = $1 AND journey_id = $2;

-- name: list_revisions
SELECT revision, definition, actor, created_at FROM journey_revision
 WHERE team_id = $1 AND journey_id = $2 AND revision < $3 ORDER BY revision DESC LIMIT $4;

-- name: has_live_enrolments
SELECT EXISTS (SELECT FROM enrolment WHERE team_id = $1 AND journey_id = $2 AND state = 1);

-- ======== enrolments, as people read them ========

-- name: get_enrolment
SELECT enrolment_id, journey_id, team_id, customer_id, trigger_event_id, depth, created_at, updated_at, state, node_id, visit,
       rest, wake_at
  FROM enrolment WHERE team_id = $1 AND enrolment_id = $2;

-- name: list_enrolments_of_journey
-- $3 states or null, $4/$5 keyset or null.
SELECT enrolment_id, journey_id, team_id, customer_id, trigger_event_id, depth, created_at, updated_at, state, node_id, visit,
       rest, wake_at
  FROM enrolment
 WHERE team_id = $1 AND journey_id = $2 AND ($3::smallint[] IS NULL OR state = ANY ($3))
   AND ($4::timestamptz IS NULL OR (created_at, enrolment_id) < ($4, $5::uuid))
 ORDER BY created_at DESC, enrolment_id DESC LIMIT $6;

-- name: list_enrolments_of_customer
-- $2 partition, $3 customer, $4 journey or null, $5 states or null, $6/$7 keyset or null.
SELECT enrolment_id, journey_id, team_id, customer_id, trigger_event_id, depth, created_at, updated_at, state, node_id, visit,
       rest, wake_at
  FROM enrolment
 WHERE team_id = $1 AND partition = $2 AND customer_id = $3
   AND ($4::uuid IS NULL OR journey_id = $4) AND ($5::smallint[] IS NULL OR state = ANY ($5))
   AND ($6::timestamptz IS NULL OR (created_at, enrolment_id) < ($6, $7::uuid))
 ORDER BY created_at DESC, enrolment_id DESC LIMIT $8;

-- name: count_enrolments
SELECT state, count(*) AS n FROM enrolment WHERE team_id = $1 AND journey_id = $2 GROUP BY state;

-- name: history_of_enrolment
SELECT body FROM history WHERE team_id = $1 AND enrolment_id = $2 AND kind = 1 ORDER BY position;

-- ======== mail of this service, and feeds ========

-- name: known_triggers
SELECT request_key, journey_id, customer_id FROM mail WHERE team_id = $1 AND request_key = ANY ($2::uuid[]);

-- name: next_mail_numbers
-- Locks the customers' counters in one order and reserves `n` numbers of each: $1 team, $2 customers, $3 how many. The
-- number returned is the last of them.
INSERT INTO mail_number AS m (team_id, customer_id, number)
SELECT $1, k.customer_id, k.n FROM unnest($2::uuid[], $3::bigint[]) AS k (customer_id, n) ORDER BY k.customer_id
ON CONFLICT (team_id, customer_id) DO UPDATE SET number = m.number + excluded.number
RETURNING customer_id, number;

-- name: append_mail
INSERT INTO mail (partition, position, team_id, customer_id, number, request_key, journey_id, occurred_at)
SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::bigint[], $6::uuid[], $7::uuid[],
                     $8::timestamptz[]);

-- name: load_mail_cursors
SELECT partition, position FROM mail_cursor;

-- name: save_mail_cursors
UPDATE mail_cursor AS c SET position = k.position
  FROM unnest($1::smallint[], $2::bigint[]) AS k (partition, position)
 WHERE c.partition = k.partition AND c.position < k.position;

-- name: mail_of_customer
SELECT partition, position, team_id, customer_id, number, request_key, journey_id, occurred_at
  FROM mail WHERE team_id = $1 AND customer_id = $2 AND number > $3 ORDER BY number LIMIT $4;
