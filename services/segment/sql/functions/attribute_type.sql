-- The numbers of services.segment.domain.attributes.AttributeType.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION attribute_type(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'TEXT' THEN 1
    WHEN 'NUMBER' THEN 2
    WHEN 'DATE' THEN 3
    WHEN 'BOOLEAN' THEN 4
END;
