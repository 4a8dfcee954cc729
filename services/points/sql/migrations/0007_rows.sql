-- Row types of what goes in as batches: an array of one of them instead of an array a column.

CREATE TYPE customer_row AS (
    team_id     uuid,
    customer_id uuid,
    name        text,
    member_id   text,
    email       text,
    phone       text,
    folded      text
);

-- A cursor that moves: it must still be at the position before.
CREATE TYPE cursor_row AS (partition smallint, position_before bigint, position_after bigint);

CREATE TYPE import_input_row AS (
    row_number  bigint,
    member_id   text,
    email       text,
    phone       text,
    points_text text,
    customer_id uuid,
    points      bigint,
    status      smallint,
    fault       text
);

-- What became of a row that was posted.
CREATE TYPE import_outcome_row AS (
    row_number       bigint,
    status           smallint,
    fault            text,
    delta_balance    bigint,
    delta_cumulative bigint,
    cumulative_cut   bigint,
    balance          bigint,
    sequence         bigint
);

-- What became of a row that was taken back; the sequence of the entry, 0 for none.
CREATE TYPE import_undo_row AS (row_number bigint, status smallint, sequence bigint);
