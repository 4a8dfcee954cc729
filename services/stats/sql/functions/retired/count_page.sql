-- Counts a page and moves the history's cursors, all in one statement. The arguments are columns: of the partitions whose cursor
-- moves; of the counters that grow, each once; and of what counts only the first time, with the place (from 1) among the counters
-- of the one that grows by 1 then. `counted` is the sum of all of the history's cursors as the page was read.
-- OJ003: the cursors are not where they were; nothing is counted.
CREATE OR REPLACE FUNCTION count_page(
    history smallint, counted bigint, partitions smallint[], before bigint[], after bigint[],
    team_ids uuid[], journey_ids uuid[], metrics smallint[], node_ids text[], channels smallint[], currencies text[],
    quarters timestamptz[], deltas bigint[],
    first_team_ids uuid[], first_kinds smallint[], first_ids uuid[], first_counters bigint[]
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    moved bigint;
    grown bigint[] := deltas;
BEGIN
    -- Counters and cursors are one transaction, so a commit that a crash of the server loses loses both: the page is read again
    -- from where the cursors stand and counted then. Nobody else is told that a page is counted.
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM platform.bind(ARRAY(SELECT DISTINCT unnest(team_ids)));
    IF (SELECT sum(c.position) FROM cursor AS c WHERE c.source = history) <> counted THEN
        RAISE EXCEPTION 'the cursors of history % have moved', history USING ERRCODE = 'OJ003';
    END IF;
    -- Whoever else counts a page of these partitions waits here until the commit, and then finds none of its rows.
    WITH held AS (
        SELECT c.partition, page.after
          FROM cursor AS c JOIN unnest(partitions, before, after) AS page (partition, before, after) USING (partition)
         WHERE c.source = history AND c.position = page.before
         ORDER BY c.partition
           FOR UPDATE OF c
    )
    UPDATE cursor AS c SET position = held.after FROM held WHERE c.source = history AND c.partition = held.partition;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(partitions) THEN
        RAISE EXCEPTION 'the cursors of history % have moved', history USING ERRCODE = 'OJ003';
    END IF;
    IF cardinality(first_ids) > 0 THEN
        WITH fresh AS (
            INSERT INTO first_time (team_id, kind, id)
            SELECT f.team_id, f.kind, f.id FROM unnest(first_team_ids, first_kinds, first_ids) AS f (team_id, kind, id)
             ORDER BY 1, 2, 3
            ON CONFLICT DO NOTHING
            RETURNING team_id, kind, id
        ), growth AS (
            SELECT f.place, count(*) AS value
              FROM fresh
              JOIN unnest(first_team_ids, first_kinds, first_ids, first_counters) AS f (team_id, kind, id, place)
             USING (team_id, kind, id)
             GROUP BY f.place
        )
        SELECT array_agg(d.value + COALESCE(growth.value, 0) ORDER BY d.place) INTO grown
          FROM unnest(deltas) WITH ORDINALITY AS d (value, place) LEFT JOIN growth USING (place);
    END IF;
    INSERT INTO counter AS c (team_id, journey_id, metric, node_id, channel, currency, quarter, value)
    SELECT k.*
      FROM unnest(team_ids, journey_ids, metrics, node_ids, channels, currencies, quarters, grown)
        AS k (team_id, journey_id, metric, node_id, channel, currency, quarter, value)
     WHERE k.value <> 0
     ORDER BY 1, 2, 7, 3, 4, 5, 6
    ON CONFLICT (team_id, journey_id, quarter, metric, node_id, channel, currency)
    DO UPDATE SET value = c.value + excluded.value;
    INSERT INTO total AS t (team_id, journey_id, metric, node_id, channel, currency, value)
    SELECT k.team_id, k.journey_id, k.metric, k.node_id, k.channel, k.currency, sum(k.value)
      FROM unnest(team_ids, journey_ids, metrics, node_ids, channels, currencies, grown)
        AS k (team_id, journey_id, metric, node_id, channel, currency, value)
     WHERE k.value <> 0
     GROUP BY 1, 2, 3, 4, 5, 6
     ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (team_id, journey_id, metric, node_id, channel, currency) DO UPDATE SET value = t.value + excluded.value;
END
$$;
