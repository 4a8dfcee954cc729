-- version: 2
-- The numbers of services.journey.domain.model.EnrolmentState.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION enrolment_state(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'LIVE' THEN 1
    WHEN 'COMPLETED' THEN 2
    WHEN 'HALTED' THEN 3
    WHEN 'PARKED' THEN 4
    WHEN 'CONVERTED' THEN 5
END;
