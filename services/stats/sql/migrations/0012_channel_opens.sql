-- How many people opened the messages of a node on a channel that tells sums only, by windows of 30 days. No history has them: a rebuild
-- leaves them alone.
CREATE TABLE channel_opens (
    team_id      uuid NOT NULL,
    journey_id   uuid NOT NULL,
    node_id      text NOT NULL,
    window_start timestamptz NOT NULL CHECK (window_start >= '0001-01-02 00:00+00' AND window_start < '9999-12-31 00:00+00'),
    asked_at     timestamptz NOT NULL CHECK (asked_at >= '0001-01-02 00:00+00' AND asked_at < '9999-12-31 00:00+00'),
    -- When the channel last answered; NULL: never.
    answered_at  timestamptz CHECK (answered_at >= '0001-01-02 00:00+00' AND answered_at < '9999-12-31 00:00+00'),
    -- NULL: it withholds the number.
    person_count bigint CHECK (person_count >= 0),
    PRIMARY KEY (team_id, journey_id, node_id, window_start),
    CHECK (person_count IS NULL OR answered_at IS NOT NULL)
);
SELECT platform.hold_teams_apart('channel_opens');
CREATE INDEX channel_opens_by_time ON channel_opens (team_id, asked_at);
