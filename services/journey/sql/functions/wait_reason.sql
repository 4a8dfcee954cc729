-- version: 2
-- The numbers of services.journey.domain.model.WaitReason.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION wait_reason(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'NONE' THEN 0
    WHEN 'DELAY' THEN 1
    WHEN 'SEND' THEN 2
    WHEN 'QUIET' THEN 3
    WHEN 'EVENT' THEN 4
END;
