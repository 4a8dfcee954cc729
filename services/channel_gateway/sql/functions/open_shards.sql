-- Makes shards ready for their first record, if they are not, and gives their heads. The record lies beyond all facts of the release
-- before: their writers hold the heads of their partitions until they have committed.
CREATE OR REPLACE FUNCTION open_shards(shards smallint[]) RETURNS SETOF record_head
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    unopened smallint;
    beyond bigint;
BEGIN
    FOR unopened IN
        SELECT r.shard FROM record_head AS r WHERE r.shard = ANY (shards) AND r.old_end IS NULL ORDER BY r.shard FOR UPDATE
    LOOP
        SELECT max(h.position) INTO beyond
          FROM (SELECT position FROM history_head WHERE partition % 8 = unopened ORDER BY partition FOR UPDATE) AS h;
        UPDATE record_head AS r SET old_end = beyond, position = beyond WHERE r.shard = unopened;
    END LOOP;
    RETURN QUERY SELECT * FROM record_head AS r WHERE r.shard = ANY (shards);
END
$$;
