-- The numbers of services.channel_gateway.domain.facts.FactKind.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION fact_kind(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'SEND_SETTLED' THEN 1
    WHEN 'RECEIPT' THEN 2
    WHEN 'CLICK' THEN 3
    WHEN 'CONTENT_GONE' THEN 4
    WHEN 'SEND_RESOLVED' THEN 6
END;
