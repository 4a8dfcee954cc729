-- Counters, and how far each history is counted.

-- One row a figure and quarter of an hour. Days and hours of every time zone begin on a quarter, so any series is a sum of
-- rows. Figures of the team as a whole have the nil journey; what does not apply is empty or 0.
CREATE TABLE counter (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    quarter    timestamptz NOT NULL,
    metric     smallint NOT NULL,
    channel    smallint NOT NULL,
    node_id    text NOT NULL,
    currency   text NOT NULL,
    value      bigint NOT NULL,
    PRIMARY KEY (team_id, journey_id, quarter, metric, node_id, channel, currency)
) WITH (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.05);

-- The same over all time, so that what people look at most does not cost more every day.
CREATE TABLE total (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    metric     smallint NOT NULL,
    channel    smallint NOT NULL,
    node_id    text NOT NULL,
    currency   text NOT NULL,
    value      bigint NOT NULL,
    PRIMARY KEY (team_id, journey_id, metric, node_id, channel, currency)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- What counts once however often it happens. kind 1: a customer with an order or a refund; kind 2: a send (by its effect
-- key) of which a link was opened.
CREATE TABLE first_time (
    team_id uuid NOT NULL,
    kind    smallint NOT NULL CHECK (kind IN (1, 2)),
    id      uuid NOT NULL,
    PRIMARY KEY (team_id, kind, id)
);

-- Rows of a history up to this position are counted; moved by the transaction that counts them.
CREATE TABLE cursor (
    source    smallint NOT NULL CHECK (source BETWEEN 1 AND 4),
    partition smallint NOT NULL CHECK (partition BETWEEN 0 AND 63),
    position  bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
    PRIMARY KEY (source, partition)
) WITH (fillfactor = 10);

INSERT INTO cursor (source, partition) SELECT s, p FROM generate_series(1, 4) AS s, generate_series(0, 63) AS p;

SELECT platform.hold_teams_apart('counter'), platform.hold_teams_apart('total'), platform.hold_teams_apart('first_time');
