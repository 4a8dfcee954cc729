-- Events of webhooks that are not worked, by team; `row_max` webhooks are counted.
-- It runs with its owner's rights, since the bound is one of all teams; it returns ids and numbers only.
CREATE OR REPLACE FUNCTION waiting_events(row_max integer) RETURNS TABLE (team_id uuid, event_count bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT w.team_id, sum(w.event_count) FROM (
        SELECT i.team_id, i.event_count FROM webhook_inbox AS i WHERE i.state = inbox_state('STORED') LIMIT row_max
    ) AS w GROUP BY w.team_id
$$;
