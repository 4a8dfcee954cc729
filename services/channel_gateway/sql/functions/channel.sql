-- The numbers of services.channel_gateway.domain.model.Channel.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION channel(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'LINE' THEN 1
    WHEN 'WHATSAPP' THEN 2
    WHEN 'MESSENGER' THEN 3
    WHEN 'INSTAGRAM' THEN 4
END;
