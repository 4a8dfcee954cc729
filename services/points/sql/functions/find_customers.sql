-- Customers of a team whose text is LIKE a pattern, at most so many. It runs with its owner's rights because no index may
-- serve LIKE under row-level security (the operator could tell of rows that the policy hides); it answers for the teams
-- of the running transaction only.
CREATE OR REPLACE FUNCTION find_customers(team uuid, pattern text, row_max integer) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    IF platform.teams() @> ARRAY[team] THEN
        -- Planned with the pattern known: a rare one goes by the index, a common one need not.
        RETURN QUERY EXECUTE
            'SELECT c.customer_id FROM customer AS c WHERE c.team_id = $1 AND c.folded LIKE $2 LIMIT $3'
            USING team, pattern, row_max;
    END IF;
END
$$;
