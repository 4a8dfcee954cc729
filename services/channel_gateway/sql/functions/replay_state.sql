-- The numbers of services.channel_gateway.domain.replays.ReplayState.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION replay_state(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'RUNNING' THEN 1
    WHEN 'SUCCEEDED' THEN 2
    WHEN 'CANCELLED' THEN 3
END;
