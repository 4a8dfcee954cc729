-- Of sends that belong to a sampled trace: the context, for what channels report of them later (ADR 69).
CREATE TABLE send_trace (
    team_id       uuid NOT NULL,
    effect_key    uuid NOT NULL,
    trace_context bytea NOT NULL CHECK (octet_length(trace_context) = 24),
    noted_at      timestamptz NOT NULL CHECK (noted_at >= '0001-01-02 00:00:00+00' AND noted_at < '9999-12-31 00:00:00+00'),
    PRIMARY KEY (team_id, effect_key)
);
SELECT platform.hold_teams_apart('send_trace');
CREATE INDEX send_trace_by_time ON send_trace (noted_at);
