-- What is left of what teams have bought: by channel the least share of a month's quota that any account has left (`month`: months that
-- began before that day are over everywhere), and of how many teams with an alert the balance is below it. Channel 0: of teams.
-- It runs with its owner's rights, since it looks at all teams; it returns figures that name none.
CREATE OR REPLACE FUNCTION least_rest(month date) RETURNS TABLE (channel smallint, rest double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT a.channel, min(GREATEST(1 - COALESCE(u.used, 0) / NULLIF(q.message_limit, 0)::float8, 0))
      FROM plan_quota AS q
      JOIN account AS a USING (team_id, account_id)
      LEFT JOIN LATERAL (
        SELECT p.used FROM plan_usage AS p
         WHERE p.team_id = q.team_id AND p.account_id = q.account_id AND p.month >= least_rest.month
         ORDER BY p.month DESC LIMIT 1) AS u ON true
     WHERE q.message_limit IS NOT NULL
     GROUP BY a.channel
     UNION ALL
    SELECT 0::smallint, count(*)::float8
      FROM balance_alert AS b LEFT JOIN wallet AS w USING (team_id)
     WHERE COALESCE(w.balance_micros, 0) < b.threshold_micros
$$;
