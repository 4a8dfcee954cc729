-- Subscriptions with webhooks that are due, those looked at longest ago first. Every ten minutes also those that are not called, whose webhooks
-- may be over their time; every day all, of which there may be something to remove. With its owner's rights, since the
-- worker finds work of all teams before it can bind a transaction to them; it returns ids only.
CREATE OR REPLACE FUNCTION due_subscriptions(row_max integer) RETURNS TABLE (team_id uuid, subscription_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT s.team_id, s.subscription_id
      FROM webhook_subscription AS s
     WHERE (s.state = subscription_state('ACTIVE') AND COALESCE(s.closed_until <= statement_timestamp(), true)
            AND EXISTS (SELECT FROM outgoing_webhook AS w
                         WHERE w.team_id = s.team_id AND w.subscription_id = s.subscription_id AND w.dead_at IS NULL
                           AND w.next_at <= statement_timestamp()))
        OR (s.looked_at < statement_timestamp() - interval '10 minutes'
            AND EXISTS (SELECT FROM outgoing_webhook AS w
                         WHERE w.team_id = s.team_id AND w.subscription_id = s.subscription_id AND w.dead_at IS NULL))
        OR s.looked_at < statement_timestamp() - interval '1 day'
     ORDER BY s.looked_at LIMIT row_max
$$;
