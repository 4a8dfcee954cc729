-- The numbers of services.points.domain.imports.RowStatus.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION row_status(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'WAITING' THEN 0
    WHEN 'APPLIED' THEN 1
    WHEN 'UNCHANGED' THEN 2
    WHEN 'INVALID' THEN 3
    WHEN 'INSUFFICIENT' THEN 4
    WHEN 'UNDONE' THEN 5
    WHEN 'NOT_UNDONE' THEN 6
END;
