-- The numbers of services.points.domain.imports.ImportState.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION import_state(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'OPEN' THEN 1
    WHEN 'RUNNING' THEN 2
    WHEN 'DONE' THEN 3
    WHEN 'UNDOING' THEN 4
    WHEN 'UNDONE' THEN 5
    WHEN 'CANCELLED' THEN 6
END;
