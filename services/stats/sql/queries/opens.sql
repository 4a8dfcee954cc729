-- How many people opened messages, on channels that tell sums only.

-- name: claim_opens
SELECT team_id, journey_id, node_id, window_start
  FROM claim_opens(:present, :again, :hour, :starts::timestamptz[], :ends::timestamptz[], :sent::smallint, :on_channel::smallint, :no_journey,
                   :team_max, :row_max);

-- name: keep_opens
-- What the channel told; a number that it withholds from now on stays as it was.
UPDATE channel_opens SET answered_at = :answered_at, person_count = COALESCE(:person_count, person_count)
 WHERE team_id = :team_id AND journey_id = :journey_id AND node_id = :node_id AND window_start = :window_start;

-- name: opens_of_journey
-- By node; windows of which nothing was told yet are in no row.
SELECT node_id, sum(person_count)::bigint AS person_count
  FROM channel_opens
 WHERE team_id = :team_id AND journey_id = :journey_id AND answered_at IS NOT NULL
 GROUP BY node_id;
