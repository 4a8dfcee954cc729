-- One page of a feed, records of all teams in order of shard and position, at most `row_max`. It runs with the caller's rights,
-- bound to the teams of the page. STABLE, so that both of its statements see one moment.
CREATE OR REPLACE FUNCTION history_record_page(shards smallint[], after bigint[], row_max integer) RETURNS SETOF history_record
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM platform.bind(ARRAY(SELECT history_record_teams(shards, after, row_max)));
    RETURN QUERY
        SELECT page.*
          FROM unnest(shards, after) AS cursor (shard, position)
         CROSS JOIN LATERAL (
            SELECT h.* FROM history_record AS h
             WHERE h.shard = cursor.shard AND h.position > cursor.position
             ORDER BY h.position LIMIT row_max
         ) AS page
         ORDER BY page.shard, page.position LIMIT row_max;
END
$$;
