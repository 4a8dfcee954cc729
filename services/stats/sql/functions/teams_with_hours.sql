-- Teams after the given one, in order of their ids, of which anything is kept by quarter of an hour before `kept_since`, and the day of the
-- oldest. Not those under whose ids a rebuild counts: their zones are those of others. It runs with its owner's rights, since no transaction is
-- bound to all teams.
CREATE OR REPLACE FUNCTION teams_with_hours(kept_since timestamptz, after_team uuid, team_max integer)
RETURNS TABLE (team_id uuid, oldest_day timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    WITH RECURSIVE team AS (
        (SELECT d.team_id, d.day FROM counter_day AS d
          WHERE d.team_id > after_team AND d.scope = day_scope('FIGURE') AND NOT d.is_daily
          ORDER BY d.team_id, d.day LIMIT 1)
         UNION ALL
        SELECT n.team_id, n.day FROM team CROSS JOIN LATERAL (
            SELECT d.team_id, d.day FROM counter_day AS d
             WHERE d.team_id > team.team_id AND d.scope = day_scope('FIGURE') AND NOT d.is_daily
             ORDER BY d.team_id, d.day LIMIT 1) AS n
    )
    SELECT t.team_id, t.day FROM team AS t
     WHERE t.day <= kept_since - interval '1 day' AND NOT EXISTS (SELECT FROM rebuild_shadow AS s WHERE s.shadow_id = t.team_id)
     LIMIT team_max
$$;
