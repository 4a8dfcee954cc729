-- The numbers of services.segment.domain.contact_imports.ImportState.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION import_state(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'PENDING' THEN 1
    WHEN 'RUNNING' THEN 2
    WHEN 'SUCCEEDED' THEN 3
    WHEN 'FAILED' THEN 4
    WHEN 'CANCELLED' THEN 5
END;
