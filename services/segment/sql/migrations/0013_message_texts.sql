-- Up to where texts of messages were taken out of the history, by partition.
CREATE TABLE text_cursor (
    partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    position  bigint NOT NULL DEFAULT 0 CHECK (position >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO text_cursor (partition) SELECT generate_series(0, 63);
