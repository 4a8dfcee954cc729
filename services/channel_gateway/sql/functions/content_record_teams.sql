-- Teams of the records that `content_record_page` would hold. It runs with its owner's rights, because a feed serves all teams and must
-- know which before it may read them; it gives their ids and nothing else.
CREATE OR REPLACE FUNCTION content_record_teams(shards smallint[], after bigint[], upto bigint[]) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT DISTINCT h.team_id
      FROM unnest(shards, after, upto) AS span (shard, after, upto)
      JOIN history_record AS h ON h.shard = span.shard AND h.position > span.after AND h.position <= span.upto
     WHERE h.customers = '{}'
$$;
