-- Source 5: journey's records, whose partitions are numbered from 64 on; source 1 is what journey wrote before there were records.
-- Rows of sources 1 to 4 stay as they are: a process of the release before goes on counting those.
ALTER TABLE cursor DROP CONSTRAINT cursor_partition_check, DROP CONSTRAINT cursor_source_check;
ALTER TABLE cursor ADD CONSTRAINT cursor_partition_check CHECK (partition BETWEEN 0 AND 71),
    ADD CONSTRAINT cursor_source_check CHECK (source BETWEEN 1 AND 5);
INSERT INTO cursor (source, partition) SELECT 5, generate_series(64, 71);

ALTER TABLE row_set_aside DROP CONSTRAINT row_set_aside_partition_check, DROP CONSTRAINT row_set_aside_source_check;
ALTER TABLE row_set_aside ADD CONSTRAINT row_set_aside_partition_check CHECK (partition BETWEEN 0 AND 71),
    ADD CONSTRAINT row_set_aside_source_check CHECK (source BETWEEN 1 AND 5),
    -- Which facts of a record are not counted, by their places in it, from 0; null: the row as a whole.
    ADD COLUMN facts integer[] CHECK (cardinality(facts) > 0);
