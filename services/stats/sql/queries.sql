-- All SQL of stats.

-- name: load_cursors
SELECT partition, position FROM cursor WHERE source = $1;

-- name: hold_cursors
-- Nobody else counts this source until the commit.
SELECT partition, position FROM cursor WHERE source = $1 ORDER BY partition FOR UPDATE;

-- name: move_cursors
UPDATE cursor AS c SET position = k.position
  FROM unnest($2::smallint[], $3::bigint[]) AS k (partition, position)
 WHERE c.source = $1 AND c.partition = k.partition;

-- name: add_counts
INSERT INTO counter AS c (team_id, journey_id, metric, node_id, channel, currency, hour, value)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::smallint[], $6::text[], $7::timestamptz[],
                     $8::bigint[])
 ORDER BY 1, 2, 3, 4, 5, 6, 7
ON CONFLICT (team_id, journey_id, metric, node_id, channel, currency, hour) DO UPDATE SET value = c.value + excluded.value;

-- name: add_shoppers
INSERT INTO shopper (team_id, customer_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])
ON CONFLICT DO NOTHING;

-- name: totals
-- Sums of a team's counters of these journeys over a range: $3 from, $4 before.
SELECT metric, journey_id, node_id, channel, currency, sum(value)::bigint AS value
  FROM counter
 WHERE team_id = $1 AND journey_id = ANY ($2::uuid[])
   AND ($3::timestamptz IS NULL OR hour >= $3) AND ($4::timestamptz IS NULL OR hour < $4)
 GROUP BY metric, journey_id, node_id, channel, currency;

-- name: totals_by_step
-- The same of one journey by hour or by day of a zone: $5 `hour` or `day`, $6 zone.
SELECT date_trunc($5, hour, $6) AS start, metric, journey_id, node_id, channel, currency, sum(value)::bigint AS value
  FROM counter
 WHERE team_id = $1 AND journey_id = $2 AND hour >= $3 AND hour < $4
 GROUP BY start, metric, journey_id, node_id, channel, currency
 ORDER BY start;

-- name: totals_by_channel
-- What a team sent on each channel, by all journeys together.
SELECT metric, channel, currency, sum(value)::bigint AS value
  FROM counter WHERE team_id = $1 AND metric = ANY ($2::smallint[]) AND channel <> 0
 GROUP BY metric, channel, currency;

-- name: count_shoppers
SELECT count(*) FROM shopper WHERE team_id = $1;
