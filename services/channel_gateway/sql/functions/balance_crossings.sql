-- Teams whose balance has gone below what they are warned at, or above it again, since it was last told; at most `row_max`.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids only.
CREATE OR REPLACE FUNCTION balance_crossings(row_max integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT a.team_id
      FROM balance_alert AS a LEFT JOIN wallet AS w USING (team_id)
     WHERE a.fired <> COALESCE(COALESCE(w.balance_micros, 0) < a.threshold_micros, false)
     LIMIT row_max
$$;
