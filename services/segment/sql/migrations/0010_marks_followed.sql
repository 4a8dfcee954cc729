-- "Team last marketed" is taken from the gateway's history: the position of each of its partitions up to which that is done.
CREATE TABLE gateway_cursor (
    partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    position  bigint NOT NULL DEFAULT 0 CHECK (position >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO gateway_cursor (partition) SELECT generate_series(0, 63);

-- Rows of that history from which no time could be taken.
CREATE TABLE row_set_aside (
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    reason       text NOT NULL,
    set_aside_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (partition, position)
);

-- A cursor that moves: it must still be at the position before.
CREATE TYPE cursor_row AS (
    partition smallint,
    before    bigint,
    after     bigint
);
