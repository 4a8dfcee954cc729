-- version: 2
-- A page of the feed. Positions have no gaps and a partition's head moves in the transaction that writes the rows, so as
-- of one moment everything up to the head is there: a reader goes on from there, however little of it was of its kinds.
-- `kinds` are tags of bodies (the second byte of each), null: all; one that has none is of all. One read looks at 5,000 rows of a partition at most.
CREATE OR REPLACE FUNCTION fact_feed_teams(
    partitions smallint[], after bigint[], upto bigint[], kinds smallint[], only_mail boolean, row_max integer)
RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
    SELECT DISTINCT page.team_id
      FROM unnest(partitions, after, upto) AS span (partition, after, upto)
     CROSS JOIN LATERAL (
        SELECT h.team_id FROM fact AS h
         WHERE h.partition = span.partition AND h.position > span.after AND h.position <= span.upto
           AND (kinds IS NULL OR CASE WHEN octet_length(h.body) < 2 THEN true ELSE get_byte(h.body, 1) = ANY (kinds) END)
           AND (NOT only_mail OR h.mail_number IS NOT NULL)
         ORDER BY h.position LIMIT row_max
     ) AS page
$$;
