-- Facts in order of partition and position: `row_max` at most, and as many as begin within `byte_max` bytes of bodies, so
-- that one larger than that comes alone. Then a row without partition if there are more of those looked at; then one row
-- without a body for each partition that has anything after its cursor: how far it was looked at. A body too short for a
-- kind is of all of them: whoever reads it sets it aside.
CREATE OR REPLACE FUNCTION fact_feed_v2(
    partitions smallint[], after bigint[], kinds smallint[], only_mail boolean, row_max integer, byte_max integer)
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
    touched := ARRAY(SELECT fact_feed_teams(moved, starts, ends, kinds, only_mail, row_max + 1));
    IF cardinality(touched) > 0 THEN
        PERFORM platform.bind(touched);
        RETURN QUERY
            WITH page AS (
                SELECT page.*, count(*) OVER upto AS rows_upto,
                       sum(octet_length(page.body)) OVER upto - octet_length(page.body) AS bytes_before
                  FROM (
                    SELECT each.*
                      FROM unnest(moved, starts, ends) AS span (partition, after, upto)
                     CROSS JOIN LATERAL (
                        SELECT h.partition, h.position, h.team_id, h.customer_id, h.event_id, h.occur_time,
                               h.record_time, h.depth, h.mail_number, h.body
                          FROM fact AS h
                         WHERE h.partition = span.partition AND h.position > span.after AND h.position <= span.upto
                           AND (kinds IS NULL OR CASE WHEN octet_length(h.body) < 2 THEN true
                                                      ELSE get_byte(h.body, 1) = ANY (kinds) END)
                           AND (NOT only_mail OR h.mail_number IS NOT NULL)
                         ORDER BY h.position LIMIT row_max + 1
                     ) AS each
                     ORDER BY each.partition, each.position LIMIT row_max + 1
                  ) AS page
                WINDOW upto AS (ORDER BY page.partition, page.position ROWS UNBOUNDED PRECEDING)
            )
            SELECT p.partition, p.position, p.team_id, p.customer_id, p.event_id, p.occur_time, p.record_time, p.depth,
                   p.mail_number, p.body
              FROM page AS p WHERE p.rows_upto <= row_max AND p.bytes_before < byte_max
             UNION ALL
            SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
             WHERE EXISTS (SELECT FROM page AS p WHERE p.rows_upto > row_max OR p.bytes_before >= byte_max)
             ORDER BY 1, 2;
    END IF;
    RETURN QUERY
        SELECT span.partition, span.upto, NULL::uuid, NULL::uuid, NULL::uuid, NULL::timestamptz, NULL::timestamptz,
               NULL::integer, NULL::bigint, NULL::bytea
          FROM unnest(moved, ends) AS span (partition, upto);
END
$$;
