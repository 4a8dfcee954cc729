-- Journeys and their revisions.

-- name: journeys_by_id
SELECT team_id, journey_id, status, reason, revision, version, stop_epoch, definition, created_at, updated_at, published_at,
       braked_epoch, recall_epoch, deleted_at
  FROM journey WHERE journey_id = ANY (:journey_ids::uuid[]);

-- name: changing_journeys
SELECT team_id, journey_id FROM changing_journeys_v3(:now);

-- name: insert_journey
INSERT INTO journey (team_id, journey_id, status, revision, version, name, name_folded, trigger_type, definition,
                     starts_at, ends_at, created_at, updated_at)
VALUES (:team_id, :journey_id, journey_status('DRAFT'), 1, 1, :name, :name_folded, :trigger_type, :definition, :starts_at, :ends_at, :now, :now);

-- name: insert_revision
INSERT INTO journey_revision (team_id, journey_id, revision, definition, actor, created_at)
VALUES (:team_id, :journey_id, :revision, :definition, :actor, :now);

-- name: get_journey
SELECT team_id, journey_id, status, reason, revision, version, stop_epoch, definition, created_at, updated_at, published_at,
       braked_epoch, recall_epoch
  FROM journey WHERE team_id = :team_id AND journey_id = :journey_id AND deleted_at IS NULL;

-- name: hold_name
-- Who makes a journey of a name if there is none waits for others who do.
SELECT pg_advisory_xact_lock(hashtextextended(:team_id::uuid::text || :name, 7317));

-- name: journeys_named
-- Two of them say that there are several.
SELECT journey_id FROM journey
 WHERE team_id = :team_id AND name = :name AND deleted_at IS NULL ORDER BY created_at DESC, journey_id DESC LIMIT 2;

-- name: get_journey_for_change
SELECT team_id, journey_id, status, reason, revision, version, stop_epoch, definition, created_at, updated_at, published_at,
       braked_epoch, recall_epoch
  FROM journey WHERE team_id = :team_id AND journey_id = :journey_id AND deleted_at IS NULL FOR NO KEY UPDATE;

-- name: list_journeys
-- A filter that is null takes everything; so does the keyset. Journeys are filtered by what they are at `now`, which time may have made of
-- some of the `labels`: of the others no row is read. Of a definition comes what lists show of it, with it the
-- last change of status, of a stop its beginning.
SELECT team_id, journey_id, status, reason, revision, version, stop_epoch, created_at, updated_at, published_at, braked_epoch,
       recall_epoch, jsonb_build_object('name', name, 'schedule', definition -> 'schedule') AS definition, trigger_type,
       last.subject, last.actor, last.changed_at
  FROM journey AS j
  LEFT JOIN LATERAL (
        SELECT s.subject, s.actor, s.changed_at FROM status_change AS s
         WHERE s.team_id = j.team_id AND s.journey_id = j.journey_id AND s.before <> journey_status('STOPPING')
         ORDER BY s.version DESC LIMIT 1) AS last ON true
 WHERE team_id = :team_id AND deleted_at IS NULL
   AND status = ANY (:labels::smallint[])
   AND (:statuses::smallint[] IS NULL
        OR journey_status_at(status, starts_at, ends_at, (definition #>> '{schedule,expiry}')::integer, :now) = ANY (:statuses))
   AND (:trigger_type::text IS NULL OR trigger_type = :trigger_type)
   AND (:name_part::text IS NULL OR strpos(name_folded, :name_part) > 0)
   AND (:after_created_at::timestamptz IS NULL OR (created_at, journey_id) < (:after_created_at, :after_journey_id::uuid))
 ORDER BY created_at DESC, journey_id DESC LIMIT :limit;

-- name: update_definition
UPDATE journey
   SET name = :name, name_folded = :name_folded, trigger_type = :trigger_type, definition = :definition,
       starts_at = :starts_at, ends_at = :ends_at, updated_at = :now, revision = revision + 1, version = version + 1,
       stop_epoch = stop_epoch + :recalls::integer,
       recall_epoch = CASE :recalls::integer WHEN 0 THEN recall_epoch ELSE stop_epoch + :recalls::integer END
 WHERE team_id = :team_id AND journey_id = :journey_id;

-- name: change_status
WITH changed AS (
    UPDATE journey
       SET status = :status, reason = :reason, stop_epoch = stop_epoch + :stops, updated_at = :now,
           published_at = COALESCE(published_at, :published_at), version = version + 1
     WHERE team_id = :team_id AND journey_id = :journey_id
    RETURNING team_id, journey_id, version, status, reason, updated_at
)
INSERT INTO status_change (team_id, journey_id, version, before, after, reason, subject, actor, changed_at)
SELECT team_id, journey_id, version, :before::smallint, status, reason, :subject::text, :actor::text, updated_at FROM changed;

-- name: list_status_changes
SELECT version, before, after, reason, subject, actor, changed_at FROM status_change
 WHERE team_id = :team_id AND journey_id = :journey_id AND version < :before_version ORDER BY version DESC LIMIT :limit;

-- name: delete_journey
UPDATE journey SET deleted_at = :now, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND journey_id = :journey_id;

-- name: list_revisions
-- Up to the one with which they have `bytes_max`; `bytes` are those of a revision and all before it.
SELECT revision, definition, actor, created_at, bytes
  FROM (SELECT page.*, sum(own_bytes) OVER (ORDER BY revision DESC) AS bytes
          FROM (SELECT revision, definition, actor, created_at, octet_length(definition::text) AS own_bytes FROM journey_revision
                 WHERE team_id = :team_id AND journey_id = :journey_id AND revision < :before
                 ORDER BY revision DESC LIMIT :limit) AS page) AS counted
 WHERE bytes - own_bytes < :bytes_max ORDER BY revision DESC;

-- name: raise_brake
-- A journey that stops by itself is stopped by a person too.
UPDATE journey SET stop_epoch = stop_epoch + 1, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND journey_id = :journey_id;

-- name: acknowledge_brake
-- The version stays: nothing that turns use has changed.
UPDATE journey SET braked_epoch = :epoch
 WHERE team_id = :team_id AND journey_id = :journey_id AND braked_epoch < :epoch;

-- name: has_live_enrolments
-- Parked customers wait for an operator, and are halted by their next turn.
SELECT EXISTS (
        SELECT FROM actor AS a WHERE a.team_id = :team_id AND a.live_journey_id = :journey_id
           AND NOT EXISTS (
                SELECT FROM parked_customer AS k
                 WHERE k.partition = a.partition AND k.team_id = a.team_id AND k.customer_id = a.customer_id))
    OR EXISTS (
        SELECT FROM enrolment AS e
         WHERE e.team_id = :team_id AND e.journey_id = :journey_id AND e.state = enrolment_state('LIVE')
           AND NOT EXISTS (
                SELECT FROM parked_customer AS k
                 WHERE k.partition = e.partition AND k.team_id = e.team_id AND k.customer_id = e.customer_id));
