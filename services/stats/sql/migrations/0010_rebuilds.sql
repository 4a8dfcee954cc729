-- Figures of teams that are counted anew from the histories. The nil team is all of them.
CREATE TABLE rebuild (
    team_id       uuid NOT NULL,
    rebuild_id    uuid NOT NULL,
    state         smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
    -- Rows of histories gone through, and those there were when it began.
    done          bigint NOT NULL DEFAULT 0 CHECK (done >= 0),
    total         bigint NOT NULL DEFAULT 0 CHECK (total >= 0),
    tries         smallint NOT NULL DEFAULT 0,
    claim         uuid,
    claimed_until timestamptz,
    reason        text NOT NULL DEFAULT '',
    message       text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    PRIMARY KEY (team_id, rebuild_id),
    CHECK ((state > 2) = (ended_at IS NOT NULL))
);
SELECT platform.hold_teams_apart('rebuild');
CREATE INDEX rebuild_by_time ON rebuild (team_id, created_at DESC, rebuild_id DESC);
-- PENDING and RUNNING: those that somebody has to work on.
CREATE INDEX rebuild_unfinished ON rebuild (created_at) WHERE state IN (1, 2);

-- How far a rebuild has counted each history, never further than `cursor`.
CREATE TABLE rebuild_cursor (
    rebuild_id uuid NOT NULL,
    source     smallint NOT NULL,
    partition  smallint NOT NULL,
    position   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (rebuild_id, source, partition)
);

-- Until a rebuild ends, what it counts for a team stands in all tables of figures under an id that no team has.
CREATE TABLE rebuild_shadow (
    rebuild_id uuid NOT NULL,
    own_id     uuid NOT NULL,
    shadow_id  uuid NOT NULL,
    PRIMARY KEY (rebuild_id, own_id)
);
