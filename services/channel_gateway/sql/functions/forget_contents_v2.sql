-- version: 2
-- Removes the contents of settled deliveries that were accepted before a time, `row_max` at most; how many, `row_max` if there may be more. Teams that say themselves how
-- long they keep them are `team_ids`, each with its own time of `before`. What is not settled when its time comes is noted, and looked at
-- each time again; for 30 days so is what was put off, since it may be written once more. One process at a time. It runs with its owner's rights, since no
-- transaction is bound to all teams; it returns a number only.
CREATE OR REPLACE FUNCTION forget_contents_v2(
    accepted_before timestamptz, team_ids uuid[], before timestamptz[], row_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    all_since timestamptz;
    forgotten bigint;
    looked bigint;
    overdue bigint;
BEGIN
    SELECT p.pruned_until INTO all_since FROM content_pruning AS p FOR UPDATE SKIP LOCKED;
    IF all_since IS NULL THEN
        RETURN 0;
    END IF;
    -- From here on such a team stands where it stands, whatever all others do.
    INSERT INTO content_pruning_of_team (team_id, pruned_until)
    SELECT own.team_id, all_since FROM unnest(team_ids) AS own (team_id) ORDER BY own.team_id ON CONFLICT DO NOTHING;
    -- Team by team, by the index of their deliveries by time.
    WITH RECURSIVE team (team_id) AS (
        (SELECT d.team_id FROM delivery AS d ORDER BY d.team_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.team_id FROM delivery AS d WHERE d.team_id > t.team_id ORDER BY d.team_id LIMIT 1)
          FROM team AS t WHERE t.team_id IS NOT NULL
    ), due (team_id, since, before) AS (
        SELECT t.team_id, COALESCE(p.pruned_until, all_since), COALESCE(own.before, accepted_before)
          FROM team AS t
          LEFT JOIN content_pruning_of_team AS p ON p.team_id = t.team_id
          LEFT JOIN unnest(team_ids, forget_contents_v2.before) AS own (team_id, before) ON own.team_id = t.team_id
         WHERE t.team_id IS NOT NULL
    ), old AS MATERIALIZED (
        SELECT o.team_id, o.effect_key
          FROM due AS t
         CROSS JOIN LATERAL (
            SELECT d.team_id, d.effect_key FROM delivery AS d
             WHERE d.team_id = t.team_id AND d.created_at >= t.since AND d.created_at < t.before
               AND d.parts IS NOT NULL AND d.state < send_state('ACCEPTED')
             LIMIT row_max
         ) AS o
         LIMIT row_max
    ), held AS MATERIALIZED (
        SELECT d.team_id, d.effect_key
          FROM (SELECT old.team_id, old.effect_key FROM old ORDER BY 1, 2) AS o
         CROSS JOIN LATERAL (
            SELECT delivery.team_id, delivery.effect_key FROM delivery
             WHERE delivery.team_id = o.team_id AND delivery.effect_key = o.effect_key AND state < send_state('ACCEPTED')
               FOR NO KEY UPDATE
         ) AS d
    ), gone AS (
        UPDATE delivery AS d SET parts = NULL FROM held AS h WHERE d.team_id = h.team_id AND d.effect_key = h.effect_key
        RETURNING 1
    ), noted AS (
        INSERT INTO overdue_content (team_id, effect_key)
        SELECT o.team_id, o.effect_key
          FROM due AS t
         CROSS JOIN LATERAL (
            SELECT d.team_id, d.effect_key FROM delivery AS d
             WHERE d.team_id = t.team_id AND d.created_at >= t.since AND d.created_at < t.before
               AND (d.state >= send_state('ACCEPTED') OR d.state = send_state('DEFERRED'))
         ) AS o
         WHERE (SELECT count(*) FROM old) < row_max
        ON CONFLICT DO NOTHING
    )
    SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM old) INTO forgotten, looked;
    IF looked < row_max THEN
        UPDATE content_pruning SET pruned_until = GREATEST(pruned_until, accepted_before);
        UPDATE content_pruning_of_team AS p
           SET pruned_until = GREATEST(
                   p.pruned_until,
                   COALESCE(
                       (SELECT own.before FROM unnest(team_ids, forget_contents_v2.before) AS own (team_id, before)
                         WHERE own.team_id = p.team_id),
                       accepted_before));
    ELSE
        forgotten := row_max;
    END IF;
    WITH due AS MATERIALIZED (
        SELECT d.team_id, d.effect_key
          FROM overdue_content AS o
          LEFT JOIN unnest(team_ids, forget_contents_v2.before) AS own (team_id, before) ON own.team_id = o.team_id
          JOIN delivery AS d ON d.team_id = o.team_id AND d.effect_key = o.effect_key
         WHERE d.parts IS NOT NULL AND d.state < send_state('ACCEPTED')
           AND d.created_at < COALESCE(own.before, accepted_before)
         ORDER BY d.team_id, d.effect_key LIMIT row_max FOR NO KEY UPDATE OF d
    )
    UPDATE delivery AS d SET parts = NULL FROM due WHERE d.team_id = due.team_id AND d.effect_key = due.effect_key;
    GET DIAGNOSTICS overdue = ROW_COUNT;
    DELETE FROM overdue_content AS o
     WHERE NOT EXISTS (
        SELECT FROM delivery AS d
         WHERE d.team_id = o.team_id AND d.effect_key = o.effect_key
           AND (d.parts IS NOT NULL OR d.state >= send_state('ACCEPTED')
                OR (d.state = send_state('DEFERRED') AND d.created_at >= accepted_before - interval '30 days')));
    RETURN LEAST(forgotten + overdue, row_max);
END
$$;
