-- The numbers of services.channel_gateway.domain.webhooks_out.SubscriptionState.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION subscription_state(name text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'ACTIVE' THEN 1
    WHEN 'PAUSED' THEN 2
    WHEN 'GONE' THEN 3
END;
