-- One page of the feed: entries of all teams after the cursors, in order of partition and position, at most so many. Positions
-- have no gaps, so that the page is a range of positions: it reads no row that it does not return, however far behind a reader
-- is. It is shared out evenly among the partitions that have anything, and bound to the teams that it touches.
CREATE OR REPLACE FUNCTION entry_page(partitions smallint[], after bigint[], row_max integer) RETURNS SETOF entry
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    share integer;
BEGIN
    SELECT array_agg(cursor.partition), array_agg(cursor.position), greatest(1, (row_max + count(*) - 1) / greatest(1, count(*)))
      INTO partitions, after, share
      FROM unnest(partitions, after) AS cursor (partition, position)
      JOIN history_head AS head ON head.partition = cursor.partition AND head.position > cursor.position;
    IF partitions IS NULL THEN
        RETURN;
    END IF;
    PERFORM platform.bind(ARRAY(SELECT entry_teams(partitions, after, share)));
    RETURN QUERY
        SELECT page.*
          FROM unnest(partitions, after) AS cursor (partition, position)
         CROSS JOIN LATERAL (
            SELECT * FROM entry AS e
             WHERE e.partition = cursor.partition AND e.position > cursor.position AND e.position <= cursor.position + share
             ORDER BY e.position LIMIT share
         ) AS page
         ORDER BY page.partition, page.position LIMIT row_max;
END
$$;
