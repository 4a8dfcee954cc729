-- How many messages one customer gets at most, over all journeys of a team: `rules` as JSON, none: no cap.
CREATE TABLE frequency_cap (
    team_id    uuid PRIMARY KEY,
    rules      jsonb NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL
);
SELECT platform.hold_teams_apart('frequency_cap');

-- Sends that count under a cap, from their reservation on: by customer, which `delivery` has no index by. What became of them stands there.
CREATE TABLE frequency_use (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    effect_key  uuid NOT NULL,
    noted_at    timestamptz NOT NULL,
    PRIMARY KEY (team_id, customer_id, effect_key)
);
CREATE INDEX frequency_use_by_time ON frequency_use (team_id, noted_at);
SELECT platform.hold_teams_apart('frequency_use');
SELECT platform.sample_lightly('frequency_use');
