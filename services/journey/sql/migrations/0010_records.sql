-- History as records: what one commit did to the customers of one team and one shard is one row. `body` is msgpack, in the form of
-- libs/common/feeds/journey_records.py. `commit_key`: real time and chance, the same for all records of a commit; the enrolments that took
-- part keep it.
CREATE TABLE history_record (
    shard      smallint NOT NULL,
    position   bigint NOT NULL,
    team_id    uuid NOT NULL,
    commit_key bigint NOT NULL,
    body       bytea NOT NULL,
    PRIMARY KEY (shard, position)
) WITH (toast_tuple_target = 8160);
-- Mostly ids, which do not get smaller: bodies stay as they are, and up to a page in the row.
ALTER TABLE history_record ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX history_record_of_commit ON history_record (commit_key);
SELECT platform.hold_teams_apart('history_record');

-- Last position given to each shard. As `history_head`: locked in the order of shards by the transaction that writes.
CREATE TABLE record_head (
    shard    smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 7),
    position bigint NOT NULL DEFAULT 0 CHECK (position >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO record_head (shard) SELECT generate_series(0, 7);

-- A record before it has a position.
CREATE TYPE record_row AS (
    shard   smallint,
    team_id uuid,
    body    bytea
);
