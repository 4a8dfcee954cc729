-- Rows of segment's history that could not be applied to the copy of customers: passed over, and kept with the reason.
CREATE TABLE row_set_aside (
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    reason       text NOT NULL,
    set_aside_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (partition, position)
);
