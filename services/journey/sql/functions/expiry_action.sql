-- The numbers of services.journey.domain.model.ExpiryAction.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION expiry_action(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'CLOSE_TRIGGER' THEN 1
    WHEN 'STOP' THEN 2
END;
