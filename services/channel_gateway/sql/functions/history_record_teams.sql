-- Teams of the records that a page of the feed would hold. It runs with its owner's rights, because a feed serves all teams and
-- must know which before it may read them; it gives their ids and nothing else.
CREATE OR REPLACE FUNCTION history_record_teams(shards smallint[], after bigint[], row_max integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT DISTINCT page.team_id
      FROM unnest(shards, after) AS cursor (shard, position)
     CROSS JOIN LATERAL (
        SELECT h.team_id FROM history_record AS h
         WHERE h.shard = cursor.shard AND h.position > cursor.position
         ORDER BY h.position LIMIT row_max
     ) AS page
$$;
