-- Webhooks of a team that are handed on again: which ones, how far it is, and how it ended. 1 running, 2 done, 3 cancelled.
CREATE TABLE inbox_replay (
    team_id      uuid NOT NULL,
    replay_id    uuid NOT NULL,
    source       smallint NOT NULL CHECK (source BETWEEN 0 AND 7),
    start_time   timestamptz NOT NULL,
    end_time     timestamptz NOT NULL,
    refused_only boolean NOT NULL,
    reached      bigint NOT NULL CHECK (reached >= 0),
    done_count   bigint NOT NULL CHECK (done_count >= 0),
    state        smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (team_id, replay_id),
    CONSTRAINT inbox_replay_time_readable CHECK (
        start_time >= '0001-01-02 00:00+00' AND start_time < '9999-12-31 00:00+00'
        AND end_time >= '0001-01-02 00:00+00' AND end_time < '9999-12-31 00:00+00'
        AND created_at >= '0001-01-02 00:00+00' AND created_at < '9999-12-31 00:00+00'
        AND updated_at >= '0001-01-02 00:00+00' AND updated_at < '9999-12-31 00:00+00'
    )
);
SELECT platform.hold_teams_apart('inbox_replay');
CREATE INDEX inbox_replay_running ON inbox_replay (team_id, created_at) WHERE state = 1;
CREATE INDEX inbox_replay_newest ON inbox_replay (team_id, created_at, replay_id);
