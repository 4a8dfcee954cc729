-- A page of a history comes as arrays of rows: what a parameter holds is named by its type, where columns beside each other
-- were told apart by their place alone. And rows that cannot be counted are passed over, with the reason.

CREATE TYPE cursor_step AS (partition smallint, before bigint, after bigint);
CREATE TYPE counter_row AS (
    team_id uuid, journey_id uuid, metric smallint, node_id text, channel smallint, currency text, quarter timestamptz,
    delta bigint);
-- `counter`: the place, from 1, of the counter that grows by 1 if nothing of the kind was seen before.
CREATE TYPE first_row AS (team_id uuid, kind smallint, id uuid, counter bigint);

-- What a history says of a row that could not be counted is found there, under its partition and position.
CREATE TABLE row_set_aside (
    source    smallint NOT NULL CHECK (source BETWEEN 1 AND 4),
    partition smallint NOT NULL CHECK (partition BETWEEN 0 AND 63),
    position  bigint NOT NULL,
    reason    text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, partition, position)
);
