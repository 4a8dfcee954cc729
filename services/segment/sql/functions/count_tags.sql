-- How many tags each of the customers has, in their order. Volatile, so that a count made after customers were locked shows
-- what those had written who held the lock before.
CREATE OR REPLACE FUNCTION count_tags(tagged input_customer[]) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE STRICT
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
BEGIN
    RETURN ARRAY(
        SELECT (SELECT count(*) FROM customer_tag AS t WHERE t.team_id = c.team_id AND t.customer_id = c.customer_id)
          FROM unnest(tagged) WITH ORDINALITY AS c (team_id, customer_id, place)
         ORDER BY c.place);
END
$$;
