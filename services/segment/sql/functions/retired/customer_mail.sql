-- Mail of one customer after a number, a transaction of its own.
CREATE OR REPLACE FUNCTION customer_mail(of_team uuid, of_customer uuid, after bigint, row_max integer) RETURNS SETOF fact
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
BEGIN
    PERFORM platform.bind(ARRAY[of_team]);
    RETURN QUERY
        SELECT * FROM fact AS f
         WHERE f.team_id = of_team AND f.customer_id = of_customer AND f.mail_number > after
         ORDER BY f.mail_number LIMIT row_max;
END
$$;
