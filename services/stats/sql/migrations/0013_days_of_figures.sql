-- Counters of days that are over, a row a day: `counter` keeps the last two days, and what is counted late.
CREATE TABLE counter_day (
    team_id    uuid NOT NULL,
    -- FIGURE: what is counted, by quarter of an hour. JOURNEY: of a journey as a whole, by hour of UTC. TEAM: what a team sent, all journeys
    -- together, by quarter of an hour. The last two are sums of the first.
    scope      smallint NOT NULL CHECK (scope BETWEEN 1 AND 3),
    journey_id uuid NOT NULL,
    -- Of UTC.
    day        timestamptz NOT NULL
        CHECK (day >= '0001-01-02 00:00+00' AND day < '9999-12-31 00:00+00' AND day = date_trunc('day', day, 'UTC')),
    metric     smallint NOT NULL,
    channel    smallint NOT NULL,
    node_id    text NOT NULL,
    currency   text NOT NULL,
    -- Whether all that the team keeps no hours of any more stands at the beginning of its own days.
    is_daily   boolean NOT NULL,
    -- Quarters of an hour of the day, from 0, in order, and what each adds.
    slots      smallint[] NOT NULL CHECK (cardinality(slots) BETWEEN 1 AND 96 AND slots[1] >= 0 AND slots[cardinality(slots)] < 96),
    sums       bigint[] NOT NULL CHECK (cardinality(sums) = cardinality(slots)),
    PRIMARY KEY (team_id, scope, journey_id, day, metric, node_id, channel, currency)
) WITH (autovacuum_analyze_scale_factor = 0.5);
SELECT platform.hold_teams_apart('counter_day');
SELECT platform.sample_lightly('counter_day');
-- FIGURE: rows of which hours may have to go.
CREATE INDEX counter_day_by_time ON counter_day (team_id, day) WHERE scope = 1 AND NOT is_daily;

-- From when on a team's figures are kept by quarter of an hour; before, by its days.
CREATE TABLE hours_kept (
    team_id uuid PRIMARY KEY,
    since   timestamptz NOT NULL CHECK (since >= '0001-01-02 00:00+00' AND since < '9999-12-31 00:00+00')
);
SELECT platform.hold_teams_apart('hours_kept');
