-- Teams of the rows that a page of the feed would hold. It runs with its owner's rights, because a feed serves all teams and
-- must know which before it may read them; it gives their ids and nothing else.
CREATE OR REPLACE FUNCTION fact_teams(partitions smallint[], after bigint[], row_max integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT DISTINCT page.team_id
      FROM unnest(partitions, after) AS cursor (partition, position)
     CROSS JOIN LATERAL (
        SELECT h.team_id FROM fact AS h
         WHERE h.partition = cursor.partition AND h.position > cursor.position
         ORDER BY h.position LIMIT row_max
     ) AS page
$$;
