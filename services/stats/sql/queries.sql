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

-- name: add_firsts
INSERT INTO first_time (team_id, kind, id) SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::uuid[])
ON CONFLICT DO NOTHING
RETURNING team_id, kind, id;

-- name: add_counts
INSERT INTO counter AS c (team_id, journey_id, metric, node_id, channel, currency, quarter, value)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::smallint[], $6::text[], $7::timestamptz[],
                     $8::bigint[])
 ORDER BY 1, 2, 7, 3, 4, 5, 6
ON CONFLICT (team_id, journey_id, quarter, metric, node_id, channel, currency)
DO UPDATE SET value = c.value + excluded.value;

-- name: add_totals
INSERT INTO total AS t (team_id, journey_id, metric, node_id, channel, currency, value)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::smallint[], $6::text[], $7::bigint[])
 ORDER BY 1, 2, 3, 4, 5, 6
ON CONFLICT (team_id, journey_id, metric, node_id, channel, currency) DO UPDATE SET value = t.value + excluded.value;

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
