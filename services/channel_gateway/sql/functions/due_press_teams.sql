-- Teams with presses of coupons' buttons that may be tried, at most `row_max`, those that wait longest first.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids only.
CREATE OR REPLACE FUNCTION due_press_teams(row_max integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT p.team_id
      FROM (SELECT team_id, try_at FROM coupon_press WHERE try_at <= clock_timestamp() ORDER BY try_at LIMIT 10000) AS p
     GROUP BY p.team_id ORDER BY min(p.try_at) LIMIT row_max
$$;
