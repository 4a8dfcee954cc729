-- What each journey names in other services, at which paths of its definition, and since when (domain time): made of the definition
-- after each change of the journey, of `journey.indexed_version`. `kind` is a ReferenceKind of domain/references.py.
CREATE TABLE journey_reference (
    team_id    uuid NOT NULL,
    kind       smallint NOT NULL,
    thing      text NOT NULL,
    journey_id uuid NOT NULL,
    fields     text[] NOT NULL,
    since      timestamptz NOT NULL CHECK (since >= '0001-01-02 00:00+00' AND since < '9999-12-31 00:00+00'),
    PRIMARY KEY (team_id, kind, thing, journey_id),
    FOREIGN KEY (team_id, journey_id) REFERENCES journey (team_id, journey_id)
);
CREATE INDEX journey_reference_by_journey ON journey_reference (team_id, journey_id);
SELECT platform.hold_teams_apart('journey_reference');

-- What other services have told of such things: deleted or archived (`lasting`, until it is restored), or changed at `at`.
CREATE TABLE gone_thing (
    team_id uuid NOT NULL,
    kind    smallint NOT NULL,
    thing   text NOT NULL,
    lasting boolean NOT NULL,
    at      timestamptz NOT NULL CHECK (at >= '0001-01-02 00:00+00' AND at < '9999-12-31 00:00+00'),
    PRIMARY KEY (team_id, kind, thing, lasting)
);
SELECT platform.hold_teams_apart('gone_thing');

-- How far the histories of segment (1) and of the gateway (2) are taken.
CREATE TABLE followed_cursor (
    source    smallint NOT NULL,
    partition smallint NOT NULL,
    position  bigint NOT NULL CHECK (position >= 0),
    PRIMARY KEY (source, partition)
);
INSERT INTO followed_cursor (source, partition, position)
SELECT s, p, 0 FROM generate_series(1, 2) AS s CROSS JOIN generate_series(0, 63) AS p;
CREATE TYPE cursor_step AS (partition smallint, position_before bigint, position_after bigint);

-- Rows of these histories that could not be applied: passed over, and kept with the reason.
CREATE TABLE followed_row_set_aside (
    source       smallint NOT NULL,
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    reason       text NOT NULL,
    set_aside_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, partition, position)
);

ALTER TABLE journey ADD COLUMN indexed_version bigint NOT NULL DEFAULT 0;
-- Few at a time: what was changed a moment ago. Nobody asks any more what a stopped one names.
CREATE INDEX journey_unindexed ON journey (team_id, journey_id)
 WHERE indexed_version <> version AND deleted_at IS NULL AND status BETWEEN 1 AND 4;
