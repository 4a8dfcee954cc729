-- Teams with webhooks that are not worked, after one of them in the order of ids, at most `row_max`: one probe of the index each,
-- however much a team has waiting.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids only.
CREATE OR REPLACE FUNCTION waiting_teams(after uuid, row_max integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    WITH RECURSIVE waiting (team_id) AS (
        (SELECT w.team_id FROM webhook_inbox AS w
          WHERE w.state = inbox_state('STORED') AND w.team_id > after ORDER BY w.team_id LIMIT 1)
        UNION ALL
        SELECT (SELECT w.team_id FROM webhook_inbox AS w
                 WHERE w.state = inbox_state('STORED') AND w.team_id > waiting.team_id ORDER BY w.team_id LIMIT 1)
          FROM waiting WHERE waiting.team_id IS NOT NULL
    )
    SELECT team_id FROM waiting WHERE team_id IS NOT NULL LIMIT row_max
$$;
