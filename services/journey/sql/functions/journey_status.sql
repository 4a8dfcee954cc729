-- The numbers of services.journey.domain.model.JourneyStatus.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION journey_status(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'DRAFT' THEN 1
    WHEN 'SCHEDULED' THEN 2
    WHEN 'ACTIVE' THEN 3
    WHEN 'TRIGGER_CLOSED' THEN 4
    WHEN 'STOPPING' THEN 5
    WHEN 'STOPPED' THEN 6
END;
