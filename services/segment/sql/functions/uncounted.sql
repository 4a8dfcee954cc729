-- The numbers of services.segment.domain.model.Uncounted.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION uncounted(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'COUNTS' THEN 0
    WHEN 'ANONYMOUS' THEN 1
    WHEN 'UNSIGNED' THEN 2
    WHEN 'TEST' THEN 3
    WHEN 'ORDER_UNCOUNTED' THEN 4
END;
