-- version: 3
-- Opens a month of a team's plan and locks it; returns what is used of it. Enrolments of the month from before there was a limit count, and
-- those made while there was none: a month that has `lapsed` is counted again, with the places whose enrolments are still to come, in one
-- statement, so that a turn that commits meanwhile is seen whole or not at all. A team that has had a limit all along has nothing to be
-- counted: looking costs a step of an index a journey, once a month.
CREATE OR REPLACE FUNCTION open_plan_month(of_team uuid, of_month date, starts timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    had bigint := 0;
    uncounted boolean;
BEGIN
    INSERT INTO plan_month (team_id, month, used, lapsed) VALUES (of_team, of_month, 0, true) ON CONFLICT DO NOTHING;
    SELECT m.used, m.lapsed INTO had, uncounted FROM plan_month AS m
     WHERE m.team_id = of_team AND m.month = of_month FOR UPDATE;
    IF uncounted THEN
        SELECT COALESCE(sum(entered.n), 0) + (
            SELECT count(*) FROM plan_place AS p
             WHERE p.team_id = of_team AND p.month = of_month
               AND NOT EXISTS (SELECT FROM actor AS a
                                WHERE a.partition = p.partition AND a.team_id = p.team_id AND a.customer_id = p.customer_id
                                  AND a.live_enrolment_id = p.enrolment_id)
               AND NOT EXISTS (SELECT FROM enrolment AS e
                                WHERE e.partition = p.partition AND e.team_id = p.team_id AND e.customer_id = p.customer_id
                                  AND e.enrolment_id = p.enrolment_id)
        ) INTO had
          FROM journey AS j
         CROSS JOIN LATERAL (
            SELECT (SELECT count(*) FROM enrolment AS e
                     WHERE e.team_id = of_team AND e.journey_id = j.journey_id AND e.created_at >= starts)
                 + (SELECT count(*) FROM actor AS a
                     WHERE a.team_id = of_team AND a.live_journey_id = j.journey_id AND a.live_since >= starts) AS n
         ) AS entered
         WHERE j.team_id = of_team;
        UPDATE plan_month AS m SET used = had, lapsed = false WHERE m.team_id = of_team AND m.month = of_month;
    END IF;
    RETURN had;
END
$$;
