-- Teams with presses of coupons' buttons that may be tried, at most `row_max`, those that wait longest first. Each is found by its
-- oldest one, so that no team's many stand before another's.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids only.
CREATE OR REPLACE FUNCTION due_press_teams(row_max integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    WITH RECURSIVE waiting AS (
        (SELECT p.team_id, p.try_at FROM coupon_press AS p WHERE p.try_at IS NOT NULL ORDER BY p.team_id, p.try_at LIMIT 1)
        UNION ALL
        SELECT next.team_id, next.try_at
          FROM waiting AS w
         CROSS JOIN LATERAL (
            SELECT p.team_id, p.try_at FROM coupon_press AS p
             WHERE p.try_at IS NOT NULL AND p.team_id > w.team_id ORDER BY p.team_id, p.try_at LIMIT 1
         ) AS next
    )
    SELECT w.team_id FROM waiting AS w WHERE w.try_at <= clock_timestamp() ORDER BY w.try_at LIMIT row_max
$$;
