-- Claims nodes whose opens are to be asked for, with the window of their messages: those that sent on the channel in one of the windows and
-- were not asked about since `again`, never asked ones first, then the newest; of a team no more than `team_max` with those that were asked about
-- since `hour`. Nobody else is given them. It runs with its owner's rights, since a worker finds work of all teams before it can bind a
-- transaction to one; it returns ids only.
CREATE OR REPLACE FUNCTION claim_opens(
    present timestamptz, again timestamptz, hour timestamptz, starts timestamptz[], ends timestamptz[],
    sent smallint, on_channel smallint, no_journey uuid, team_max integer, row_max integer)
RETURNS TABLE (team_id uuid, journey_id uuid, node_id text, window_start timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    LOCK TABLE channel_opens IN SHARE ROW EXCLUSIVE MODE;
    RETURN QUERY
    WITH candidate AS MATERIALIZED (
        SELECT DISTINCT t.team_id, t.journey_id, t.node_id, w.starting, w.ending, o.asked_at
          FROM total AS t
         CROSS JOIN unnest(starts, ends) AS w (starting, ending)
          LEFT JOIN channel_opens AS o
            ON o.team_id = t.team_id AND o.journey_id = t.journey_id AND o.node_id = t.node_id AND o.window_start = w.starting
         WHERE t.metric = sent AND t.channel = on_channel AND t.journey_id <> no_journey AND (o.asked_at IS NULL OR o.asked_at <= again)
           AND NOT EXISTS (SELECT FROM rebuild_shadow AS s WHERE s.shadow_id = t.team_id)
    ), due AS (
        SELECT c.*, l.last_quarter,
               row_number() OVER (PARTITION BY c.team_id ORDER BY c.asked_at NULLS FIRST, l.last_quarter DESC, c.journey_id, c.node_id) AS place
          FROM candidate AS c
         CROSS JOIN LATERAL (
            SELECT max(k.quarter) AS last_quarter FROM counter AS k
             WHERE k.team_id = c.team_id AND k.journey_id = c.journey_id AND k.quarter >= c.starting AND k.quarter < c.ending
               AND k.metric = sent AND k.node_id = c.node_id AND k.channel = on_channel) AS l
         WHERE l.last_quarter IS NOT NULL
    )
    INSERT INTO channel_opens AS o (team_id, journey_id, node_id, window_start, asked_at)
    SELECT d.team_id, d.journey_id, d.node_id, d.starting, present
      FROM due AS d
     WHERE d.place <= team_max - (SELECT count(*) FROM channel_opens AS r WHERE r.team_id = d.team_id AND r.asked_at > hour)
     ORDER BY d.asked_at NULLS FIRST, d.last_quarter DESC, d.team_id, d.journey_id, d.node_id LIMIT row_max
    ON CONFLICT (team_id, journey_id, node_id, window_start) DO UPDATE SET asked_at = excluded.asked_at
    RETURNING o.team_id, o.journey_id, o.node_id, o.window_start;
END
$$;
