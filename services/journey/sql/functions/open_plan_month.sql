-- version: 2
-- Opens a month of a team's plan and locks it; returns what is used of it. Enrolments of the month from before there was a limit count, or
-- while there was none, whatever the month before had. A team that has had one all along has none yet: looking costs a step of an index
-- a journey, once a month.
CREATE OR REPLACE FUNCTION open_plan_month(of_team uuid, of_month date, starts timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    had bigint := 0;
BEGIN
    INSERT INTO plan_month (team_id, month, used) VALUES (of_team, of_month, 0) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        SELECT COALESCE(sum(entered.n), 0) INTO had
          FROM journey AS j
         CROSS JOIN LATERAL (
            SELECT (SELECT count(*) FROM enrolment AS e
                     WHERE e.team_id = of_team AND e.journey_id = j.journey_id AND e.created_at >= starts)
                 + (SELECT count(*) FROM actor AS a
                     WHERE a.team_id = of_team AND a.live_journey_id = j.journey_id AND a.live_since >= starts) AS n
         ) AS entered
         WHERE j.team_id = of_team;
        UPDATE plan_month AS m SET used = had WHERE m.team_id = of_team AND m.month = of_month;
    END IF;
    SELECT m.used INTO had FROM plan_month AS m WHERE m.team_id = of_team AND m.month = of_month FOR UPDATE;
    RETURN had;
END
$$;
