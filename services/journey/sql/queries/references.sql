-- What journeys name in other services, and what became of it.

-- name: hold_references
-- Until the transaction ends nobody else notes what journeys name or what is gone: of a journey and a thing that goes meanwhile one of
-- the two sees the other.
SELECT pg_advisory_xact_lock(hashtextextended('journey.references', 0));

-- name: unindexed_journeys
SELECT team_id, journey_id FROM unindexed_journeys(:team_id, :limit);

-- name: journey_to_index
SELECT j.definition, j.version, r.created_at AS since
  FROM journey AS j LEFT JOIN journey_revision AS r
    ON r.team_id = j.team_id AND r.journey_id = j.journey_id AND r.revision = j.revision
 WHERE j.team_id = :team_id AND j.journey_id = :journey_id FOR NO KEY UPDATE OF j;

-- name: delete_references
DELETE FROM journey_reference
 WHERE team_id = :team_id AND journey_id = :journey_id
   AND (kind, thing) NOT IN (SELECT * FROM unnest(:kinds::smallint[], :things::text[]));

-- name: write_references
-- What was named before is so since then.
INSERT INTO journey_reference (team_id, kind, thing, journey_id, fields, since)
SELECT :team_id, named.kind, named.thing, :journey_id, string_to_array(named.fields, E'\n'), :since::timestamptz
  FROM unnest(:kinds::smallint[], :things::text[], :fields::text[]) AS named (kind, thing, fields)
ON CONFLICT (team_id, kind, thing, journey_id) DO UPDATE SET fields = excluded.fields;

-- name: note_indexed
UPDATE journey SET indexed_version = :version WHERE team_id = :team_id AND journey_id = :journey_id AND version = :version;

-- name: note_gone
INSERT INTO gone_thing AS g (team_id, kind, thing, lasting, at)
SELECT * FROM unnest(:teams::uuid[], :kinds::smallint[], :things::text[], :lasting::boolean[], :at::timestamptz[])
ON CONFLICT (team_id, kind, thing, lasting) DO UPDATE SET at = GREATEST(g.at, excluded.at);

-- name: note_back
DELETE FROM gone_thing AS g
 USING unnest(:teams::uuid[], :kinds::smallint[], :things::text[]) AS back (team_id, kind, thing)
 WHERE g.team_id = back.team_id AND g.kind = back.kind AND g.thing = back.thing AND g.lasting;

-- name: journeys_without
SELECT team_id, journey_id, kind, thing, lasting FROM journeys_without_v2(:teams, :kinds, :things, :journeys);

-- name: live_journeys_naming
-- Journeys that are or may become live, and name things of a kind; since when they do so as what they are now.
SELECT r.thing, r.journey_id, GREATEST(r.since, j.published_at) AS since
  FROM journey_reference AS r JOIN journey AS j ON j.team_id = r.team_id AND j.journey_id = r.journey_id
 WHERE r.team_id = :team_id AND r.kind = :kind AND j.deleted_at IS NULL
   AND j.status BETWEEN journey_status('DRAFT') AND journey_status('TRIGGER_CLOSED')
 ORDER BY r.thing, r.journey_id;

-- name: referring_journeys
-- Those that name any of some things, newest first.
SELECT j.journey_id, j.name, j.status, j.created_at, array_agg(field.path ORDER BY r.kind, r.thing, field.place) AS fields
  FROM journey_reference AS r
  JOIN unnest(:kinds::smallint[], :things::text[]) AS asked (kind, thing) ON r.kind = asked.kind AND r.thing = asked.thing
  JOIN journey AS j ON j.team_id = r.team_id AND j.journey_id = r.journey_id
 CROSS JOIN LATERAL unnest(r.fields) WITH ORDINALITY AS field (path, place)
 WHERE r.team_id = :team_id AND j.deleted_at IS NULL
   AND j.status BETWEEN journey_status('DRAFT') AND journey_status('TRIGGER_CLOSED')
   AND (:after_created_at::timestamptz IS NULL OR (j.created_at, j.journey_id) < (:after_created_at, :after_journey_id::uuid))
 GROUP BY j.journey_id, j.name, j.status, j.created_at
 ORDER BY j.created_at DESC, j.journey_id DESC LIMIT :limit;

-- name: chained_journeys
-- What journeys that customers may enter name of some kinds.
SELECT j.journey_id, j.name, r.kind, r.thing, r.fields
  FROM journey AS j JOIN journey_reference AS r ON r.team_id = j.team_id AND r.journey_id = j.journey_id
 WHERE j.team_id = :team_id AND j.deleted_at IS NULL AND r.kind = ANY (:kinds::smallint[])
   AND j.status IN (journey_status('SCHEDULED'), journey_status('ACTIVE'))
 ORDER BY j.journey_id;

-- name: followed_cursors
SELECT partition, position FROM followed_cursor WHERE source = :source;

-- name: move_followed_cursors
SELECT move_followed_cursors(:source, :steps);

-- name: set_followed_row_aside
INSERT INTO followed_row_set_aside (source, partition, position, reason) VALUES (:source, :partition, :position, :reason)
ON CONFLICT (source, partition, position) DO NOTHING;
