-- version: 2
-- The numbers of services.points.domain.model.Status.
-- FAILED is answered, and never stored.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION outcome_status(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'POSTED' THEN 1
    WHEN 'REJECTED' THEN 2
    WHEN 'SKIPPED' THEN 3
    WHEN 'REFUSED' THEN 4
    WHEN 'FAILED' THEN 5
END;
