-- The numbers of services.channel_gateway.domain.facts.GoneKind.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION content_kind(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'BOT_MODULE' THEN 1
    WHEN 'TEMPLATE' THEN 2
    WHEN 'ACCOUNT' THEN 3
    WHEN 'PAYMENT' THEN 4
END;
