-- Counts a page and moves the history's cursors (see `move_cursors`), all in one statement. `counters` grow, each named once;
-- `firsts` are counted only the first time. OJ003: the cursors are not where they were; nothing is counted.
CREATE OR REPLACE FUNCTION count_rows(
    history smallint, counted bigint, steps cursor_step[], counters counter_row[], firsts first_row[]
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    -- What each counter grows by for the first time of something, in the order of `counters`; null: of nothing.
    grown bigint[];
BEGIN
    -- Counters and cursors are one transaction, so a commit that a crash of the server loses loses both: the page is read again
    -- from where the cursors stand and counted then. Nobody else is told that a page is counted.
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM platform.bind(ARRAY(SELECT DISTINCT c.team_id FROM unnest(counters) AS c));
    PERFORM move_cursors(history, counted, steps);
    IF cardinality(firsts) > 0 THEN
        WITH fresh AS (
            INSERT INTO first_time (team_id, kind, id)
            SELECT f.team_id, f.kind, f.id FROM unnest(firsts) AS f
             ORDER BY 1, 2, 3
            ON CONFLICT DO NOTHING
            RETURNING team_id, kind, id
        ), growth AS (
            SELECT f.counter AS place, count(*) AS value
              FROM fresh JOIN unnest(firsts) AS f USING (team_id, kind, id)
             GROUP BY f.counter
        )
        SELECT array_agg(growth.value ORDER BY place) INTO grown
          FROM generate_series(1, cardinality(counters)) AS place LEFT JOIN growth USING (place);
    END IF;
    INSERT INTO counter AS c (team_id, journey_id, metric, node_id, channel, currency, quarter, value)
    SELECT k.team_id, k.journey_id, k.metric, k.node_id, k.channel, k.currency, k.quarter,
           k.delta + COALESCE(grown[k.place], 0)
      FROM unnest(counters) WITH ORDINALITY
        AS k (team_id, journey_id, metric, node_id, channel, currency, quarter, delta, place)
     WHERE k.delta + COALESCE(grown[k.place], 0) <> 0
     ORDER BY 1, 2, 7, 3, 4, 5, 6
    ON CONFLICT (team_id, journey_id, quarter, metric, node_id, channel, currency)
    DO UPDATE SET value = c.value + excluded.value;
    INSERT INTO total AS t (team_id, journey_id, metric, node_id, channel, currency, value)
    SELECT k.team_id, k.journey_id, k.metric, k.node_id, k.channel, k.currency, sum(k.delta + COALESCE(grown[k.place], 0))
      FROM unnest(counters) WITH ORDINALITY
        AS k (team_id, journey_id, metric, node_id, channel, currency, quarter, delta, place)
     WHERE k.delta + COALESCE(grown[k.place], 0) <> 0
     GROUP BY 1, 2, 3, 4, 5, 6
     ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (team_id, journey_id, metric, node_id, channel, currency) DO UPDATE SET value = t.value + excluded.value;
END
$$;
