-- The numbers of services.journey.store.codec.FactKind.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION fact_kind(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'RUN_SEGMENT' THEN 1
    WHEN 'TRIGGER_REFUSED' THEN 2
    WHEN 'STATUS_CHANGED' THEN 3
END;
