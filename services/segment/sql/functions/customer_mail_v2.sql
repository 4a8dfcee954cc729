-- Mail of one customer after a number, a transaction of its own: `row_max` at most, and as many as begin within
-- `byte_max` bytes of bodies. Then a row without partition if there are more.
CREATE OR REPLACE FUNCTION customer_mail_v2(
    of_team uuid, of_customer uuid, after bigint, row_max integer, byte_max integer)
RETURNS TABLE (
    partition smallint, "position" bigint, team_id uuid, customer_id uuid, event_id uuid, occur_time timestamptz,
    record_time timestamptz, depth integer, mail_number bigint, body bytea)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM platform.bind(ARRAY[of_team]);
    RETURN QUERY
        WITH page AS (
            SELECT page.*, count(*) OVER upto AS rows_upto,
                   sum(octet_length(page.body)) OVER upto - octet_length(page.body) AS bytes_before
              FROM (
                SELECT h.partition, h.position, h.team_id, h.customer_id, h.event_id, h.occur_time, h.record_time,
                       h.depth, h.mail_number, h.body
                  FROM fact AS h
                 WHERE h.team_id = of_team AND h.customer_id = of_customer AND h.mail_number > after
                 ORDER BY h.mail_number LIMIT row_max + 1
              ) AS page
            WINDOW upto AS (ORDER BY page.mail_number ROWS UNBOUNDED PRECEDING)
        )
        SELECT p.partition, p.position, p.team_id, p.customer_id, p.event_id, p.occur_time, p.record_time, p.depth,
               p.mail_number, p.body
          FROM page AS p WHERE p.rows_upto <= row_max AND p.bytes_before < byte_max
         UNION ALL
        SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
         WHERE EXISTS (SELECT FROM page AS p WHERE p.rows_upto > row_max OR p.bytes_before >= byte_max)
         ORDER BY 9;
END
$$;
