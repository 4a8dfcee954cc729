-- version: 2
-- One page of a feed, rows of all teams in order of partition and position, at most `row_max`. It runs with the caller's rights,
-- bound to the teams of the page. STABLE, so that both of its statements see one moment. For processes of the release before, which
-- would pass over records: it refuses when there are any.
CREATE OR REPLACE FUNCTION history_page(partitions smallint[], after bigint[], row_max integer) RETURNS SETOF history
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    IF EXISTS (SELECT FROM record_head AS r WHERE r.old_end IS NOT NULL) THEN
        RAISE EXCEPTION 'a gateway of a later release writes the history: stop the gateways of the release before'
            USING ERRCODE = 'OJ105';
    END IF;
    PERFORM platform.bind(ARRAY(SELECT history_teams(partitions, after, row_max)));
    RETURN QUERY
        SELECT page.*
          FROM unnest(partitions, after) AS cursor (partition, position)
         CROSS JOIN LATERAL (
            SELECT h.* FROM history AS h
             WHERE h.partition = cursor.partition AND h.position > cursor.position
             ORDER BY h.position LIMIT row_max
         ) AS page
         ORDER BY page.partition, page.position LIMIT row_max;
END
$$;
