-- The numbers of services.channel_gateway.domain.inbox.InboxState.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION inbox_state(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'STORED' THEN 1
    WHEN 'RECORDED' THEN 2
    WHEN 'REFUSED' THEN 3
END;
