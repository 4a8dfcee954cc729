-- Facts in order of partition and position, `row_max` at most; then one row without a body for each partition that has
-- anything after its cursor: how far it was looked at.
CREATE OR REPLACE FUNCTION fact_feed(
    partitions smallint[], after bigint[], kinds smallint[], only_mail boolean, row_max integer)
RETURNS TABLE (
    partition smallint, "position" bigint, team_id uuid, customer_id uuid, event_id uuid, occur_time timestamptz,
    record_time timestamptz, depth integer, mail_number bigint, body bytea)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    moved smallint[];
    starts bigint[];
    ends bigint[];
    touched uuid[];
BEGIN
    SELECT array_agg(c.partition), array_agg(c.after), array_agg(LEAST(h.position, c.after + 5000))
      INTO moved, starts, ends
      FROM unnest(partitions, after) AS c (partition, after)
      JOIN history_head AS h ON h.partition = c.partition AND h.position > c.after;
    IF moved IS NULL THEN
        RETURN;
    END IF;
    touched := ARRAY(SELECT fact_feed_teams(moved, starts, ends, kinds, only_mail, row_max));
    IF cardinality(touched) > 0 THEN
        PERFORM platform.bind(touched);
        RETURN QUERY
            SELECT page.*
              FROM unnest(moved, starts, ends) AS span (partition, after, upto)
             CROSS JOIN LATERAL (
                SELECT h.partition, h.position, h.team_id, h.customer_id, h.event_id, h.occur_time, h.record_time,
                       h.depth, h.mail_number, h.body
                  FROM fact AS h
                 WHERE h.partition = span.partition AND h.position > span.after AND h.position <= span.upto
                   AND (kinds IS NULL OR get_byte(h.body, 1) = ANY (kinds))
                   AND (NOT only_mail OR h.mail_number IS NOT NULL)
                 ORDER BY h.position LIMIT row_max
             ) AS page
             ORDER BY page.partition, page.position LIMIT row_max;
    END IF;
    RETURN QUERY
        SELECT span.partition, span.upto, NULL::uuid, NULL::uuid, NULL::uuid, NULL::timestamptz, NULL::timestamptz,
               NULL::integer, NULL::bigint, NULL::bytea
          FROM unnest(moved, ends) AS span (partition, upto);
END
$$;
