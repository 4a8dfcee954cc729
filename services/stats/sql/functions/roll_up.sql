-- Moves counters of quarters of an hour before `rolled_before`, a beginning of a day of UTC, into those of days: of the journeys after the
-- given one, in order of team and journey, `journey_max` at most, until `row_max` are moved. Returns the last journey of which none is left;
-- null after the last of all. No row: somebody else does it. What is counted late grows a counter again, and is moved again.
-- It runs with its owner's rights, since no transaction is bound to all teams; it returns ids and a number only.
CREATE OR REPLACE FUNCTION roll_up(
    rolled_before timestamptz, after_team uuid, after_journey uuid, journey_max integer, row_max integer,
    journey_metrics smallint[], send_metrics smallint[], no_channel smallint
) RETURNS TABLE (last_team uuid, last_journey uuid, moved_count integer)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    next_team uuid;
    next_journey uuid;
    gone counter_row[];
    moved counter_row[] := '{}';
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('stats.days', 0)) THEN
        RETURN;
    END IF;
    last_team := after_team;
    last_journey := after_journey;
    FOR looked IN 1..journey_max LOOP
        SELECT c.team_id, c.journey_id INTO next_team, next_journey
          FROM counter AS c WHERE (c.team_id, c.journey_id) > (last_team, last_journey) ORDER BY c.team_id, c.journey_id LIMIT 1;
        IF NOT FOUND THEN
            last_team := NULL;
            last_journey := NULL;
            EXIT;
        END IF;
        -- Whoever counts meanwhile what is moved here waits for the commit, and then counts from 0.
        WITH deleted AS (
            DELETE FROM counter AS c
             WHERE c.ctid = ANY (ARRAY(
                SELECT o.ctid FROM counter AS o
                 WHERE o.team_id = next_team AND o.journey_id = next_journey AND o.quarter < rolled_before
                 ORDER BY o.quarter LIMIT row_max - cardinality(moved) FOR UPDATE SKIP LOCKED))
            RETURNING c.team_id, c.journey_id, c.metric, c.node_id, c.channel, c.currency, c.quarter, c.value
        )
        SELECT array_agg(ROW(deleted.*)::counter_row) INTO gone FROM deleted;
        moved := moved || gone;
        EXIT WHEN cardinality(moved) >= row_max;
        last_team := next_team;
        last_journey := next_journey;
    END LOOP;
    -- Once for all: what is kept for a team is written once a step, not once a journey.
    PERFORM add_to_days(moved, false, journey_metrics, send_metrics, no_channel);
    moved_count := cardinality(moved);
    RETURN NEXT;
END
$$;
