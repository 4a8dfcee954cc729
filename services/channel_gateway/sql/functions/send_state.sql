-- The numbers of services.channel_gateway.domain.model.SendState.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION send_state(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'SENT' THEN 1
    WHEN 'SKIPPED' THEN 2
    WHEN 'FAILED' THEN 3
    WHEN 'DEFERRED' THEN 4
    WHEN 'UNKNOWN' THEN 5
    WHEN 'EXHAUSTED' THEN 6
    WHEN 'CANCELLED' THEN 7
    WHEN 'ACCEPTED' THEN 8
    WHEN 'IN_FLIGHT' THEN 9
END;
