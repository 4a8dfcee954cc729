-- Gives up what is over its time, and claims webhooks of a subscription that are due, the oldest first, for `lease_s` real seconds. Whoever
-- claimed them and is gone leaves them to the next after that: at least once.
CREATE OR REPLACE FUNCTION claim_webhooks(team uuid, subscription uuid, lease_s integer, row_max integer)
RETURNS TABLE (webhook_id uuid, event_type text, body bytea, attempts integer)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM platform.bind(ARRAY[team]);
    UPDATE webhook_subscription SET looked_at = clock_timestamp() WHERE team_id = team AND subscription_id = subscription;
    UPDATE outgoing_webhook AS w
       SET dead_at = clock_timestamp(), last_error = COALESCE(NULLIF(w.last_error, ''), 'it waited too long')
     WHERE w.team_id = team AND w.subscription_id = subscription AND w.dead_at IS NULL AND w.give_up_at <= clock_timestamp();
    DELETE FROM outgoing_webhook AS w
     WHERE w.team_id = team AND w.subscription_id = subscription AND w.dead_at < clock_timestamp() - interval '30 days';
    DELETE FROM webhook_attempt AS a
     WHERE a.team_id = team AND a.subscription_id = subscription AND a.attempted_at < clock_timestamp() - interval '7 days';
    IF NOT EXISTS (SELECT FROM webhook_subscription AS s WHERE s.team_id = team AND s.subscription_id = subscription
                      AND s.state = subscription_state('ACTIVE') AND COALESCE(s.closed_until <= clock_timestamp(), true)) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH due AS (
        SELECT w.webhook_id FROM outgoing_webhook AS w
         WHERE w.team_id = team AND w.subscription_id = subscription AND w.dead_at IS NULL AND w.next_at <= clock_timestamp()
         ORDER BY w.next_at, w.webhook_id LIMIT row_max FOR UPDATE SKIP LOCKED
    )
    UPDATE outgoing_webhook AS w SET next_at = clock_timestamp() + make_interval(secs => lease_s)
      FROM due WHERE w.team_id = team AND w.subscription_id = subscription AND w.webhook_id = due.webhook_id
    RETURNING w.webhook_id, w.event_type, w.body, w.attempts;
END
$$;
