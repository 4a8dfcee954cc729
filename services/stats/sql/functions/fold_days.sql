-- Puts what a team's figures add before `kept_since` at the beginnings of its own days, `day_starts`, in order: of the oldest `row_max` rows of
-- days that are over by then and are not so yet. Returns how many there were; null: somebody else works on days.
CREATE OR REPLACE FUNCTION fold_days(
    team uuid, kept_since timestamptz, day_starts timestamptz[], row_max integer, journey_metrics smallint[], send_metrics smallint[],
    no_channel smallint
) RETURNS integer
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    folded integer;
    moved counter_row[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('stats.days', 0)) THEN
        RETURN NULL;
    END IF;
    WITH taken AS (
        UPDATE counter_day AS d SET is_daily = true
         WHERE d.ctid = ANY (ARRAY(
            SELECT o.ctid FROM counter_day AS o
             WHERE o.team_id = team AND o.scope = day_scope('FIGURE') AND NOT o.is_daily AND o.day <= kept_since - interval '1 day'
             ORDER BY o.day LIMIT row_max))
        RETURNING d.*
    ), quarters AS (
        SELECT t.*, t.day + s.slot * interval '15 minutes' AS quarter, s.value
          FROM taken AS t CROSS JOIN LATERAL unnest(t.slots, t.sums) AS s (slot, value)
    ), begun AS (
        SELECT q.*, day_starts[width_bucket(q.quarter, day_starts)] AS day_start FROM quarters AS q
    ), deltas AS (
        SELECT team_id, journey_id, metric, node_id, channel, currency, quarter, -value AS delta FROM begun WHERE day_start <> quarter
         UNION ALL
        SELECT team_id, journey_id, metric, node_id, channel, currency, day_start, value FROM begun WHERE day_start <> quarter
    )
    SELECT (SELECT count(*) FROM taken), (SELECT array_agg(ROW(deltas.*)::counter_row) FROM deltas) INTO folded, moved;
    IF cardinality(moved) > 0 THEN
        PERFORM add_to_days(moved, true, journey_metrics, send_metrics, no_channel);
    END IF;
    RETURN folded;
END
$$;
