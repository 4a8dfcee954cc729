-- version: 2
-- The webhooks to be worked next, in order of receipt.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids and times only.
CREATE OR REPLACE FUNCTION stored_webhooks(row_max integer) RETURNS TABLE (sequence bigint, team_id uuid, event_count integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT w.sequence, w.team_id, w.event_count FROM webhook_inbox AS w
     WHERE w.state = inbox_state('STORED') ORDER BY w.sequence LIMIT row_max
$$;
