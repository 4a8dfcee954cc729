-- Counters by hour, and how far each history is counted.

-- One row a figure and hour. Figures of the team as a whole have the nil journey; what does not apply is empty or 0.
CREATE TABLE counter (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    metric     smallint NOT NULL,
    node_id    text NOT NULL,
    channel    smallint NOT NULL,
    currency   text NOT NULL,
    hour       timestamptz NOT NULL,
    value      bigint NOT NULL,
    PRIMARY KEY (team_id, journey_id, metric, node_id, channel, currency, hour)
) WITH (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.05);

-- Customers with an order or a refund.
CREATE TABLE shopper (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    PRIMARY KEY (team_id, customer_id)
);

-- Rows of a history up to this position are counted; moved by the transaction that counts them.
CREATE TABLE cursor (
    source    smallint NOT NULL,
    partition smallint NOT NULL CHECK (partition BETWEEN 0 AND 63),
    position  bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
    PRIMARY KEY (source, partition)
) WITH (fillfactor = 10);

INSERT INTO cursor (source, partition) SELECT s, p FROM generate_series(1, 4) AS s, generate_series(0, 63) AS p;

SELECT platform.hold_teams_apart('counter'), platform.hold_teams_apart('shopper');
