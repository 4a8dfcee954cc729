-- version: 2
-- Journeys that have to change by themselves, for the release before: that release looks for live enrolments in `enrolment` alone, and
-- would stop a journey while customers are inside. 57P03 (cannot connect now) makes its schedule wait.
CREATE OR REPLACE FUNCTION changing_journeys(now_domain timestamptz)
RETURNS TABLE (team_id uuid, journey_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    IF EXISTS (SELECT FROM record_head WHERE position > 0) THEN
        RAISE EXCEPTION 'turns are stored in the form of a later release: stop this process'
            USING ERRCODE = 'cannot_connect_now';
    END IF;
    RETURN QUERY SELECT j.team_id, j.journey_id FROM changing_journeys_v2(now_domain) AS j;
END
$$;
