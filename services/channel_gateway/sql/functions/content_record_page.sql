-- Records of content that is gone, which tell of no customers, of all teams in order of shard and position; then a row without team for
-- each shard with anything after its cursor: how far it was looked at, `row_max` records at most. A shard's head moves in the
-- transaction that writes the records, so as of one moment everything up to it is there. It runs with the caller's rights,
-- bound to the teams of the page. STABLE, so that all of its statements see one moment.
CREATE OR REPLACE FUNCTION content_record_page(shards smallint[], after bigint[], row_max integer)
RETURNS TABLE (shard smallint, "position" bigint, team_id uuid, body bytea)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    moved smallint[];
    starts bigint[];
    ends bigint[];
BEGIN
    SELECT array_agg(c.shard), array_agg(c.after), array_agg(LEAST(h.position, c.after + row_max))
      INTO moved, starts, ends
      FROM unnest(shards, after) AS c (shard, after)
      JOIN record_head AS h ON h.shard = c.shard AND h.position > c.after;
    IF moved IS NULL THEN
        RETURN;
    END IF;
    PERFORM platform.bind(ARRAY(SELECT content_record_teams(moved, starts, ends)));
    RETURN QUERY
        SELECT h.shard, h.position, h.team_id, h.body
          FROM unnest(moved, starts, ends) AS span (shard, after, upto)
          JOIN history_record AS h ON h.shard = span.shard AND h.position > span.after AND h.position <= span.upto
         WHERE h.customers = '{}'
         ORDER BY h.shard, h.position;
    RETURN QUERY SELECT span.shard, span.upto, NULL::uuid, NULL::bytea FROM unnest(moved, ends) AS span (shard, upto) ORDER BY 1;
END
$$;
