-- The numbers of services.segment.domain.contact_rows.RowStatus.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION import_row_status(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'WAITING' THEN 0
    WHEN 'APPLIED' THEN 1
    WHEN 'UNCHANGED' THEN 2
    WHEN 'FAILED' THEN 3
END;
