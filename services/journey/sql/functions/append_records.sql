-- Appends the records of a commit, in their order; last thing in a transaction, since it locks the heads of their shards.
CREATE OR REPLACE FUNCTION append_records(commit_key bigint, records record_row[]) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    IF cardinality(records) = 1 THEN
        -- A batch of one, which the general statement below would cost more than all of its other work.
        WITH moved AS (
            UPDATE record_head AS h SET position = h.position + 1 WHERE h.shard = records[1].shard RETURNING h.position
        )
        INSERT INTO history_record (shard, position, team_id, commit_key, body)
        SELECT records[1].shard, moved.position, records[1].team_id, append_records.commit_key, records[1].body FROM moved;
        RETURN;
    END IF;
    WITH ranked AS (
        SELECT r.shard, r.team_id, r.body, row_number() OVER (PARTITION BY r.shard ORDER BY r.place) AS rank
          FROM unnest(records) WITH ORDINALITY AS r (shard, team_id, body, place)
    ), held AS (
        SELECT h.shard, counted.n
          FROM record_head AS h JOIN (SELECT c.shard, count(*) AS n FROM ranked AS c GROUP BY c.shard) AS counted USING (shard)
         ORDER BY h.shard
           FOR UPDATE OF h
    ), moved AS (
        UPDATE record_head AS h SET position = h.position + held.n
          FROM held WHERE h.shard = held.shard
        RETURNING h.shard, h.position - held.n AS before
    )
    INSERT INTO history_record (shard, position, team_id, commit_key, body)
    SELECT shard, moved.before + ranked.rank, ranked.team_id, append_records.commit_key, ranked.body
      FROM ranked JOIN moved USING (shard);
END
$$;
