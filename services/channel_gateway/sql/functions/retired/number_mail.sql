-- The next mail number of each settled send's customer, in the order given.
CREATE OR REPLACE FUNCTION number_mail(settled delivery[]) RETURNS bigint[]
LANGUAGE sql
SET search_path FROM CURRENT
AS $$
    WITH ranked AS (
        SELECT s.ordinality, s.team_id, s.customer_id,
               row_number() OVER (PARTITION BY s.team_id, s.customer_id ORDER BY s.ordinality) AS rank
          FROM unnest(settled) WITH ORDINALITY AS s
    ), counted AS (
        SELECT r.team_id, r.customer_id, max(r.rank) AS n FROM ranked AS r GROUP BY 1, 2
    ), moved AS (
        INSERT INTO customer_mail AS m (team_id, customer_id, last_number)
        SELECT * FROM counted ORDER BY 1, 2
        ON CONFLICT (team_id, customer_id) DO UPDATE SET last_number = m.last_number + EXCLUDED.last_number
        RETURNING m.team_id, m.customer_id, m.last_number
    )
    SELECT array_agg(moved.last_number - counted.n + ranked.rank ORDER BY ranked.ordinality)
      FROM ranked JOIN moved USING (team_id, customer_id) JOIN counted USING (team_id, customer_id)
$$;
