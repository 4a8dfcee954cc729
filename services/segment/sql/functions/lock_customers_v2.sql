-- Locks customers in one order everywhere, so that batches wait for each other and never in a circle; those that are not
-- there are left out.
CREATE OR REPLACE FUNCTION lock_customers_v2(wanted input_customer[]) RETURNS known_customer[]
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN (
        SELECT array_agg(ROW(c.team_id, c.customer_id, c.member_id, c.name, c.phone, c.email, c.customer_interact_time,
                             c.team_interact_time, c.marketed_time, c.checkout_time, c.mail_number, c.revision,
                             c.create_time, c.update_time)::known_customer)
          FROM (SELECT DISTINCT w.team_id, w.customer_id FROM unnest(wanted) AS w ORDER BY 1, 2) AS w
         CROSS JOIN LATERAL (
            SELECT * FROM customer AS r
             WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id
               FOR NO KEY UPDATE
         ) AS c
    );
END
$$;
