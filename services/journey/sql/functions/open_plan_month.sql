-- Opens a month of a team's plan and locks it; returns what is used of it. Enrolments of the month from before there was a limit count;
-- where the month before had one, there are none.
CREATE OR REPLACE FUNCTION open_plan_month(of_team uuid, of_month date, starts timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    had bigint := 0;
BEGIN
    INSERT INTO plan_month (team_id, month, used) VALUES (of_team, of_month, 0) ON CONFLICT DO NOTHING;
    IF FOUND AND NOT EXISTS (
        SELECT FROM plan_month AS m WHERE m.team_id = of_team AND m.month = (of_month - interval '1 month')::date
    ) THEN
        SELECT (SELECT count(*) FROM enrolment AS e WHERE e.team_id = of_team AND e.created_at >= starts)
             + (SELECT count(*) FROM actor AS a WHERE a.team_id = of_team AND a.live_since >= starts)
          INTO had;
        UPDATE plan_month AS m SET used = had WHERE m.team_id = of_team AND m.month = of_month;
    END IF;
    SELECT m.used INTO had FROM plan_month AS m WHERE m.team_id = of_team AND m.month = of_month FOR UPDATE;
    RETURN had;
END
$$;
