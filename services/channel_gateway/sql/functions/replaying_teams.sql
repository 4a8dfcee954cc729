-- Teams whose webhooks are being handed on again, and that have none waiting from before. It runs with its owner's rights, since no
-- transaction is bound to all teams; it returns ids only.
CREATE OR REPLACE FUNCTION replaying_teams(row_max integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT DISTINCT r.team_id FROM inbox_replay AS r
     WHERE r.state = replay_state('RUNNING')
       AND NOT EXISTS (SELECT FROM webhook_inbox AS i
                        WHERE i.team_id = r.team_id AND i.state = inbox_state('STORED'))
     LIMIT row_max
$$;
