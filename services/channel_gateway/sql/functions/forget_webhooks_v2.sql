-- Removes the oldest webhooks that are worked and were received before a time, with what was refused of them; returns how many. Teams that
-- say themselves how long they keep them are `team_ids`, each with its own time of `before`. It looks at `row_max` worked ones of a team
-- at most, in order of receipt, and removes as many in all. It runs with its owner's rights, since no transaction is bound to all teams; it
-- returns a number only.
CREATE OR REPLACE FUNCTION forget_webhooks_v2(
    received_before timestamptz, team_ids uuid[], before timestamptz[], row_max integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    WITH RECURSIVE team (team_id) AS (
        (SELECT i.team_id FROM webhook_inbox AS i WHERE i.state <> inbox_state('STORED') ORDER BY i.team_id LIMIT 1)
        UNION ALL
        SELECT (SELECT i.team_id FROM webhook_inbox AS i
                 WHERE i.state <> inbox_state('STORED') AND i.team_id > t.team_id ORDER BY i.team_id LIMIT 1)
          FROM team AS t WHERE t.team_id IS NOT NULL
    ), due (team_id, before) AS (
        SELECT t.team_id, COALESCE(own.before, received_before)
          FROM team AS t LEFT JOIN unnest(team_ids, forget_webhooks_v2.before) AS own (team_id, before) ON own.team_id = t.team_id
         WHERE t.team_id IS NOT NULL
    ), old AS MATERIALIZED (
        SELECT o.sequence
          FROM due AS d
         CROSS JOIN LATERAL (
            -- A team whose oldest one stays costs that one look.
            SELECT i.received_at FROM webhook_inbox AS i
             WHERE i.team_id = d.team_id AND i.state <> inbox_state('STORED') ORDER BY i.sequence LIMIT 1
         ) AS oldest
         CROSS JOIN LATERAL (
            SELECT worked.sequence
              FROM (
                SELECT i.sequence, i.received_at FROM webhook_inbox AS i
                 WHERE i.team_id = d.team_id AND i.state <> inbox_state('STORED') ORDER BY i.sequence LIMIT row_max
              ) AS worked
             WHERE worked.received_at < d.before
         ) AS o
         WHERE oldest.received_at < d.before
         LIMIT row_max
    ), refusals AS (
        DELETE FROM inbox_refusal AS r USING old WHERE r.sequence = old.sequence
    ), gone AS (
        DELETE FROM webhook_inbox AS i USING old
         WHERE i.sequence = old.sequence AND i.state <> inbox_state('STORED') RETURNING i.sequence
    )
    SELECT count(*) FROM gone
$$;
