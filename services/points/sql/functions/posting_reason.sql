-- The numbers of services.points.domain.model.Reason.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION posting_reason(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'NONE' THEN 0
    WHEN 'INSUFFICIENT' THEN 1
    WHEN 'NO_PHONE' THEN 2
    WHEN 'NO_FORMULA' THEN 3
    WHEN 'ZERO_POINTS' THEN 4
    WHEN 'ORDER_PENDING' THEN 5
    WHEN 'ORDER_POSTED' THEN 6
    WHEN 'NOTHING_LEFT' THEN 7
    WHEN 'OUT_OF_RANGE' THEN 8
    WHEN 'KEY_REUSED' THEN 9
    WHEN 'CUT' THEN 10
END;
