-- All SQL of stats.

-- name: load_cursors
SELECT partition, position FROM cursor WHERE source = $1;

-- name: count_page
-- $1 source, $2 sum of its cursors; columns of the cursors that move: $3 partition, $4 before, $5 after; of the counters that
-- grow: $6 to $13; of what counts only the first time: $14 to $16, $17 its counter's place among them.
SELECT count_page($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- name: totals
-- Sums of a team's counters of these journeys over all time.
SELECT metric, journey_id, node_id, channel, currency, value
  FROM total WHERE team_id = $1 AND journey_id = ANY ($2::uuid[]);

-- name: sums
-- The same over a range: $3 from, $4 before; either may be absent.
SELECT metric, journey_id, node_id, channel, currency, sum(value)::bigint AS value
  FROM counter
 WHERE team_id = $1 AND journey_id = ANY ($2::uuid[])
   AND quarter >= COALESCE($3::timestamptz, '-infinity') AND quarter < COALESCE($4::timestamptz, 'infinity')
 GROUP BY metric, journey_id, node_id, channel, currency;

-- name: series
-- The same of one journey by step: $5 are the starts of the steps, in order; steps are numbered from 1.
SELECT width_bucket(quarter, $5::timestamptz[]) AS step, metric, journey_id, node_id, channel, currency,
       sum(value)::bigint AS value
  FROM counter
 WHERE team_id = $1 AND journey_id = $2 AND quarter >= $3 AND quarter < $4
 GROUP BY step, metric, journey_id, node_id, channel, currency
 ORDER BY step;

-- name: totals_of_sends
-- What a team sent, by journey, node and channel.
SELECT metric, journey_id, node_id, channel, currency, value
  FROM total WHERE team_id = $1 AND metric = ANY ($2::smallint[]) AND channel <> 0;

-- name: journeys
SELECT journey_id FROM total WHERE team_id = $1 AND metric = $2 ORDER BY journey_id;
