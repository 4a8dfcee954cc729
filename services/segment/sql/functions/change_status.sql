-- The numbers of services.segment.domain.results.ChangeStatus.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION change_status(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'APPLIED' THEN 1
    WHEN 'UNCHANGED' THEN 2
    WHEN 'REFUSED' THEN 3
END;
