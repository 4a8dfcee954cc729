-- The numbers of services.points.domain.model.Source.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION entry_source(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'WEB_ORDER' THEN 1
    WHEN 'COUPON_REDEMPTION' THEN 2
    WHEN 'JOURNEY' THEN 3
    WHEN 'IMPORT' THEN 4
    WHEN 'REFUND' THEN 5
    WHEN 'MANUAL' THEN 6
    WHEN 'MERGE' THEN 7
END;
