-- Gives up what is over its time, and claims webhooks of a subscription that are due, the oldest first, for `lease_s` real seconds. Whoever
-- claimed them and is gone leaves them to the next after that: at least once.
-- However much waits, a claim reads little of it: over their time are the first that are due, of which it looks at a hundred, and at more where
-- nothing is claimed; attempts are found by their ids, which begin with their time.
CREATE OR REPLACE FUNCTION claim_webhooks(team uuid, subscription uuid, lease_s integer, row_max integer)
RETURNS TABLE (webhook_id uuid, event_type text, body bytea, attempts integer)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    right_now timestamptz := clock_timestamp();
    first_kept uuid := (lpad(to_hex((extract(epoch FROM right_now - interval '7 days') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
    is_called boolean;
BEGIN
    PERFORM platform.bind(ARRAY[team]);
    UPDATE webhook_subscription AS s SET looked_at = right_now WHERE s.team_id = team AND s.subscription_id = subscription
    RETURNING s.state = subscription_state('ACTIVE') AND COALESCE(s.closed_until <= right_now, true) INTO is_called;
    WITH over AS (
        SELECT w.webhook_id FROM outgoing_webhook AS w
         WHERE w.team_id = team AND w.subscription_id = subscription AND w.dead_at IS NULL AND w.webhook_id = ANY (ARRAY(
            SELECT f.webhook_id FROM (
                SELECT d.webhook_id, d.give_up_at FROM outgoing_webhook AS d
                 WHERE d.team_id = team AND d.subscription_id = subscription AND d.dead_at IS NULL AND d.next_at <= right_now
                 ORDER BY d.next_at LIMIT CASE WHEN is_called THEN 100 ELSE 10000 END
            ) AS f WHERE f.give_up_at <= right_now))
           FOR UPDATE SKIP LOCKED
    )
    UPDATE outgoing_webhook AS w
       SET dead_at = right_now, last_error = COALESCE(NULLIF(w.last_error, ''), 'it waited too long')
      FROM over WHERE w.team_id = team AND w.subscription_id = subscription AND w.webhook_id = over.webhook_id;
    DELETE FROM outgoing_webhook AS w
     WHERE w.team_id = team AND w.subscription_id = subscription AND w.dead_at < right_now - interval '30 days';
    DELETE FROM webhook_attempt AS a
     WHERE a.team_id = team AND a.subscription_id = subscription AND a.attempt_id < first_kept;
    IF is_called IS NOT true THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH due AS (
        SELECT w.webhook_id FROM outgoing_webhook AS w
         WHERE w.team_id = team AND w.subscription_id = subscription AND w.dead_at IS NULL AND w.next_at <= right_now
         ORDER BY w.next_at, w.webhook_id LIMIT row_max FOR UPDATE SKIP LOCKED
    )
    UPDATE outgoing_webhook AS w SET next_at = clock_timestamp() + make_interval(secs => lease_s)
      FROM due WHERE w.team_id = team AND w.subscription_id = subscription AND w.webhook_id = due.webhook_id
    RETURNING w.webhook_id, w.event_type, w.body, w.attempts;
END
$$;
