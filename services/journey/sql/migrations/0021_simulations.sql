-- Simulations: what each was asked, how far it is, and what it found. `state` is an OperationState. Who works on one holds a claim until
-- a real time and renews it; what it has found so far is kept nowhere, so one that is taken over begins again.
CREATE TABLE simulation (
    team_id       uuid NOT NULL,
    simulation_id uuid NOT NULL,
    journey_id    uuid NOT NULL,
    definition    jsonb NOT NULL,
    start_at      timestamptz NOT NULL,
    end_at        timestamptz NOT NULL,
    state         smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
    done          bigint NOT NULL DEFAULT 0 CHECK (done >= 0),
    tries         smallint NOT NULL DEFAULT 0,
    claim         uuid,
    claimed_until timestamptz,
    reason        text NOT NULL DEFAULT '',
    message       text NOT NULL DEFAULT '',
    findings      bytea,
    created_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    PRIMARY KEY (team_id, simulation_id),
    CHECK (start_at < end_at),
    CONSTRAINT simulation_times_readable CHECK (
        start_at >= '0001-01-02 00:00+00' AND start_at < '9999-12-31 00:00+00'
        AND end_at >= '0001-01-02 00:00+00' AND end_at < '9999-12-31 00:00+00'),
    CHECK ((state > 2) = (ended_at IS NOT NULL)),
    CHECK ((state = 3) = (findings IS NOT NULL))
);
SELECT platform.hold_teams_apart('simulation');
CREATE INDEX simulation_by_time ON simulation (team_id, created_at DESC, simulation_id DESC);
-- PENDING and RUNNING: those that somebody has to work on.
CREATE INDEX simulation_unfinished ON simulation (created_at) WHERE state IN (1, 2);
