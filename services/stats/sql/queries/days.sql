-- Counters of days that are over.

-- name: roll_up
SELECT last_team, last_journey, moved_count
  FROM roll_up(:rolled_before, :after_team, :after_journey, :journey_max, :row_max, :journey_metrics::smallint[], :send_metrics::smallint[],
     :no_channel::smallint);

-- name: teams_with_hours
SELECT team_id, oldest_day FROM teams_with_hours(:kept_since, :after_team, :team_max);

-- name: keep_hours_since
-- It never goes back: what stands at the beginning of a day is no hour's any more.
INSERT INTO hours_kept AS h (team_id, since) VALUES (:team_id, :since)
ON CONFLICT (team_id) DO UPDATE SET since = GREATEST(h.since, EXCLUDED.since);

-- name: fold_days
SELECT fold_days(:team_id, :kept_since, :day_starts::timestamptz[], :row_max, :journey_metrics::smallint[], :send_metrics::smallint[],
     :no_channel::smallint);
