-- All SQL of the journey service. Each query begins with its name; parameters are described where they are not plain.

-- ======== turns ========

-- name: load_actors
-- $1 partitions, $2 teams, $3 customers, in parallel.
SELECT a.team_id, a.customer_id, a.taken_segment, a.taken_gateway, a.taken_journey, a.entries
  FROM unnest($1::smallint[], $2::uuid[], $3::uuid[]) AS k (partition, team_id, customer_id)
  JOIN actor AS a USING (partition, team_id, customer_id);

-- name: load_live_enrolments
SELECT e.team_id, e.customer_id, e.enrolment_id, e.journey_id, e.trigger_event_id, e.created_at, e.wake_at,
       e.depth, e.rest, e.visit, e.node_id
  FROM unnest($1::smallint[], $2::uuid[], $3::uuid[]) AS k (partition, team_id, customer_id)
  JOIN enrolment AS e USING (partition, team_id, customer_id)
 WHERE e.state = 1
 ORDER BY e.created_at, e.enrolment_id;

-- name: load_parked
SELECT p.team_id, p.customer_id
  FROM unnest($1::smallint[], $2::uuid[], $3::uuid[]) AS k (partition, team_id, customer_id)
  JOIN parked_customer AS p USING (partition, team_id, customer_id);

-- name: journey_versions
-- Journeys of these teams that customers can be in.
SELECT journey_id, version FROM journey WHERE team_id = ANY ($1::uuid[]) AND status > 1 AND deleted_at IS NULL;

-- name: journeys_by_id
SELECT team_id, journey_id, status, reason, revision, version, stop_epoch, definition, created_at, updated_at, published_at
  FROM journey WHERE journey_id = ANY ($1::uuid[]);

-- name: hold_journeys
-- Nobody changes these journeys until the commit. In order of ids, as everybody locks them.
SELECT journey_id, version FROM journey WHERE journey_id = ANY ($1::uuid[]) ORDER BY journey_id FOR SHARE;

-- name: hold_journeys_to_change
SELECT journey_id, version FROM journey WHERE journey_id = ANY ($1::uuid[]) ORDER BY journey_id FOR NO KEY UPDATE;

-- name: save_actors
INSERT INTO actor (partition, team_id, customer_id, taken_segment, taken_gateway, taken_journey, entries)
SELECT * FROM unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[])
ON CONFLICT (partition, team_id, customer_id) DO UPDATE
   SET taken_segment = excluded.taken_segment, taken_gateway = excluded.taken_gateway,
       taken_journey = excluded.taken_journey, entries = excluded.entries;

-- name: keep_verdicts
INSERT INTO verdict AS v (team_id, enrolment_id, key, belongs, reason)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::text[])
ON CONFLICT (team_id, enrolment_id, key) DO UPDATE SET belongs = v.belongs
RETURNING v.key, v.belongs, v.reason;

-- name: forget_verdicts
DELETE FROM verdict AS v USING unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS k (team_id, enrolment_id, key)
 WHERE v.team_id = k.team_id AND v.enrolment_id = k.enrolment_id AND (k.key IS NULL OR v.key = k.key);

-- name: save_enrolments
INSERT INTO enrolment (partition, team_id, customer_id, enrolment_id, journey_id, trigger_event_id, created_at, updated_at,
                       wake_at, depth, state, rest, visit, node_id)
SELECT * FROM unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::timestamptz[],
                     $8::timestamptz[], $9::timestamptz[], $10::smallint[], $11::smallint[], $12::smallint[],
                     $13::smallint[], $14::text[])
ON CONFLICT (partition, team_id, customer_id, enrolment_id) DO UPDATE
   SET updated_at = excluded.updated_at, wake_at = excluded.wake_at, state = excluded.state, rest = excluded.rest,
       visit = excluded.visit, node_id = excluded.node_id;

-- name: append_history
INSERT INTO history (partition, position, team_id, journey_id, customer_id, enrolment_id, at, kind, body)
SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::timestamptz[],
                     $8::smallint[], $9::bytea[]);

-- name: due_customers
SELECT partition, team_id, customer_id FROM due_customers($1::smallint[], $2, $3);

-- name: next_timer
SELECT next_timer($1::smallint[], $2);

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

-- name: list_leases
SELECT partition, owner, epoch, expires_at FROM partition_lease WHERE owner IS NOT NULL;

-- name: count_orphans
SELECT count_orphans();

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

-- name: mail_teams
SELECT mail_teams($1, $2, $3);

-- name: mail_after
-- $1 partitions, $2 positions, in parallel; $3 at most of each.
SELECT m.* FROM unnest($1::smallint[], $2::bigint[]) AS c (partition, after)
 CROSS JOIN LATERAL (
    SELECT partition, position, team_id, customer_id, number, request_key, journey_id, occurred_at
      FROM mail WHERE mail.partition = c.partition AND position > c.after ORDER BY position LIMIT $3
 ) AS m ORDER BY m.partition, m.position;

-- name: load_mail_cursors
SELECT partition, position FROM mail_cursor;

-- name: save_mail_cursors
UPDATE mail_cursor AS c SET position = k.position
  FROM unnest($1::smallint[], $2::bigint[]) AS k (partition, position)
 WHERE c.partition = k.partition AND c.position < k.position;

-- name: history_teams
SELECT history_teams($1, $2, $3);

-- name: history_after
-- $1 partitions, $2 positions, in parallel; $3 at most of each.
SELECT h.* FROM unnest($1::smallint[], $2::bigint[]) AS c (partition, after)
 CROSS JOIN LATERAL (
    SELECT partition, position, team_id, journey_id, customer_id, enrolment_id, at, kind, body
      FROM history WHERE history.partition = c.partition AND position > c.after ORDER BY position LIMIT $3
 ) AS h ORDER BY h.partition, h.position;

-- name: mail_of_customer
SELECT partition, position, team_id, customer_id, number, request_key, journey_id, occurred_at
  FROM mail WHERE team_id = $1 AND customer_id = $2 AND number > $3 ORDER BY number LIMIT $4;
