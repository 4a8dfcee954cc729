-- One page of the feed: records of all teams after the cursors, in order of shard and position, at most so many. Positions have no
-- gaps, so that the page is a range of positions, shared out evenly among the shards that have anything: it reads no row that it does
-- not return, however far behind a reader is. It runs with the caller's rights, bound to the teams of the page.
CREATE OR REPLACE FUNCTION history_record_page(shards smallint[], after bigint[], row_max integer) RETURNS SETOF history_record
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    share integer;
BEGIN
    SELECT array_agg(cursor.shard), array_agg(cursor.position), greatest(1, (row_max + count(*) - 1) / greatest(1, count(*)))
      INTO shards, after, share
      FROM unnest(shards, after) AS cursor (shard, position)
      JOIN record_head AS head ON head.shard = cursor.shard AND head.position > cursor.position;
    IF shards IS NULL THEN
        RETURN;
    END IF;
    PERFORM platform.bind(ARRAY(SELECT history_record_teams(shards, after, share)));
    RETURN QUERY
        SELECT page.*
          FROM unnest(shards, after) AS cursor (shard, position)
         CROSS JOIN LATERAL (
            SELECT h.* FROM history_record AS h
             WHERE h.shard = cursor.shard AND h.position > cursor.position AND h.position <= cursor.position + share
             ORDER BY h.position LIMIT share
         ) AS page
         ORDER BY page.shard, page.position LIMIT row_max;
END
$$;
