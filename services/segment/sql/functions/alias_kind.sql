-- The numbers of services.segment.domain.merging.AliasKind.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION alias_kind(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'MEMBER_ID' THEN 1
    WHEN 'EMAIL' THEN 2
    WHEN 'PHONE' THEN 3
END;
