-- Figures: sums of counters. `currency` is their label: of amounts the currency, of what happened for a reason the reason.

-- name: totals
-- Sums of a team's counters of these journeys over all time.
SELECT metric, journey_id, node_id, channel, currency, value
  FROM total WHERE team_id = :team_id AND journey_id = ANY (:journey_ids::uuid[]);

-- name: sums
-- The same from `start_time` to before `end_time`; either may be absent.
SELECT metric, journey_id, node_id, channel, currency, sum(value)::bigint AS value
  FROM (
    SELECT metric, journey_id, node_id, channel, currency, value
      FROM counter
     WHERE team_id = :team_id AND journey_id = ANY (:journey_ids::uuid[])
       AND quarter >= COALESCE(:start_time::timestamptz, '-infinity')
       AND quarter < COALESCE(:end_time::timestamptz, 'infinity')
     UNION ALL
    SELECT d.metric, d.journey_id, d.node_id, d.channel, d.currency, s.value
      FROM counter_day AS d CROSS JOIN LATERAL unnest(d.slots, d.sums) AS s (slot, value)
     WHERE d.team_id = :team_id AND d.scope = :figure AND d.journey_id = ANY (:journey_ids::uuid[])
       AND d.day > COALESCE(:start_time::timestamptz, '-infinity') - interval '1 day'
       AND d.day < COALESCE(:end_time::timestamptz, 'infinity')
       AND d.day + s.slot * interval '15 minutes' >= COALESCE(:start_time::timestamptz, '-infinity')
       AND d.day + s.slot * interval '15 minutes' < COALESCE(:end_time::timestamptz, 'infinity')) AS counted
 GROUP BY metric, journey_id, node_id, channel, currency;

-- name: days
-- Counters of days that touch a span, either end of which may be absent: of a journey, or (nil) a team; null: all metrics.
SELECT day, metric, node_id, channel, currency, slots, sums
  FROM counter_day
 WHERE team_id = :team_id AND scope = :scope AND journey_id = :journey_id
   AND day > COALESCE(:start_time::timestamptz, '-infinity') - interval '1 day'
   AND day < COALESCE(:end_time::timestamptz, 'infinity')
   AND (metric = ANY (:metrics::smallint[]) OR :metrics::smallint[] IS NULL);

-- name: months
-- Sums by hour of months that touch a span: of journeys as a whole, or (nil) of a team. Null: all metrics.
SELECT journey_id, month, metric, channel, currency, hours, sums
  FROM counter_month
 WHERE team_id = :team_id AND scope = :scope AND journey_id = ANY (:journey_ids::uuid[])
   AND month > :start_time::timestamptz - interval '31 days' AND month < :end_time
   AND (metric = ANY (:metrics::smallint[]) OR :metrics::smallint[] IS NULL);

-- name: hours_kept
SELECT since FROM hours_kept WHERE team_id = :team_id;

-- name: overview_series
-- What journeys as a whole did by quarter of an hour, as far as it is not in counters of days.
SELECT journey_id, quarter, metric, currency, sum(value)::bigint AS value
  FROM counter
 WHERE team_id = :team_id AND journey_id = ANY (:journey_ids::uuid[]) AND quarter >= :start_time AND quarter < :end_time
   AND metric = ANY (:metrics::smallint[])
 GROUP BY journey_id, quarter, metric, currency;

-- name: series
-- The same, figure by figure.
SELECT quarter, metric, node_id, channel, currency, value
  FROM counter
 WHERE team_id = :team_id AND journey_id = :journey_id AND quarter >= :start_time AND quarter < :end_time;

-- name: nodes_series
-- The figures of a journey's nodes by step, of `row_max` pairs of step and node after the given one. `step_starts` are the starts of the
-- steps, in order; they are numbered from 1. `node_id`: of this one only; null: of all. Metrics of nodes have no channel.
SELECT step, node_id, metric, currency, value
  FROM (SELECT step, node_id, metric, currency, value, dense_rank() OVER (ORDER BY step, node_id) AS place
          FROM (SELECT width_bucket(quarter, :step_starts::timestamptz[]) AS step, node_id, metric, currency, sum(value)::bigint AS value
                  FROM (SELECT quarter, node_id, metric, currency, value FROM counter
                         WHERE team_id = :team_id AND journey_id = :journey_id
                           AND quarter >= :start_time::timestamptz AND quarter < :end_time
                         UNION ALL
                        SELECT d.day + s.slot * interval '15 minutes', d.node_id, d.metric, d.currency, s.value
                          FROM counter_day AS d CROSS JOIN LATERAL unnest(d.slots, d.sums) AS s (slot, value)
                         WHERE d.team_id = :team_id AND d.scope = :figure AND d.journey_id = :journey_id
                           AND d.day > :start_time - interval '1 day' AND d.day < :end_time
                           AND d.day + s.slot * interval '15 minutes' >= :start_time
                           AND d.day + s.slot * interval '15 minutes' < :end_time) AS counted
                 WHERE (metric = ANY (:of_nodes::smallint[]) OR metric > :results) AND (node_id = :node_id OR :node_id::text IS NULL)
                 GROUP BY step, node_id, metric, currency HAVING sum(value) <> 0) AS summed
         WHERE (step, node_id) > (:after_step::integer, :after_node::text)) AS placed
 WHERE place <= :row_max ORDER BY step, node_id, metric, currency;

-- name: sends_series
-- The same of what a team sent, by quarter of an hour and channel; either end may be absent. Journey by journey, since a journey's counters lie in order of time;
-- sends of none are the nil journey's.
SELECT c.quarter, c.metric, c.channel, c.currency, sum(c.value)::bigint AS value
  FROM (SELECT DISTINCT journey_id FROM total
         WHERE team_id = :team_id AND metric = ANY (:metrics::smallint[]) AND channel <> :no_channel) AS j
  JOIN LATERAL (
    SELECT quarter, metric, channel, currency, value FROM counter
     WHERE team_id = :team_id AND journey_id = j.journey_id
       AND quarter >= COALESCE(:start_time::timestamptz, '-infinity') AND quarter < COALESCE(:end_time::timestamptz, 'infinity')
       AND metric = ANY (:metrics::smallint[]) AND channel <> :no_channel
  ) AS c ON true
 GROUP BY c.quarter, c.metric, c.channel, c.currency;

-- name: totals_of_sends
-- What a team sent, by journey, node and channel.
SELECT metric, journey_id, node_id, channel, currency, value
  FROM total WHERE team_id = :team_id AND metric = ANY (:metrics::smallint[]) AND channel <> :no_channel;

-- name: journeys
SELECT journey_id FROM total WHERE team_id = :team_id AND metric = :metric ORDER BY journey_id;

-- name: groups_of_splits
-- Of each split of a journey, those who were sent on and those who were held out: how many, and how many of them ordered within the
-- window.
SELECT m.node_id, m.held_out, count(*) AS member_count,
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM shop_order AS s
            WHERE s.team_id = m.team_id AND s.customer_id = m.customer_id
              AND s.ordered_at >= m.came_at AND s.ordered_at < m.came_at + :order_window::interval)) AS ordered_count
  FROM split_member AS m WHERE m.team_id = :team_id AND m.journey_id = :journey_id
 GROUP BY m.node_id, m.held_out ORDER BY m.node_id, m.held_out;

-- name: differing_totals
-- Sums over all time that are not those of their quarters, of days that are over too.
SELECT COALESCE(t.journey_id, c.journey_id) AS journey_id, COALESCE(t.metric, c.metric) AS metric, COALESCE(t.node_id, c.node_id) AS node_id,
       COALESCE(t.value, 0) AS total, COALESCE(c.value, 0) AS summed
  FROM (SELECT * FROM total WHERE team_id = :team_id) AS t
  FULL JOIN (
    SELECT journey_id, metric, node_id, channel, currency, sum(value)::bigint AS value
      FROM (
        SELECT journey_id, metric, node_id, channel, currency, value FROM counter WHERE team_id = :team_id
         UNION ALL
        SELECT d.journey_id, d.metric, d.node_id, d.channel, d.currency, s.value
          FROM counter_day AS d CROSS JOIN LATERAL unnest(d.sums) AS s (value)
         WHERE d.team_id = :team_id AND d.scope = :figure) AS quarters
     GROUP BY journey_id, metric, node_id, channel, currency) AS c
    USING (journey_id, metric, node_id, channel, currency)
 WHERE COALESCE(t.value, 0) <> COALESCE(c.value, 0)
 ORDER BY 1, 2, 3 LIMIT :row_max;

-- name: differing_days
-- What is kept of days and of months for journeys as a whole and for the team, and is not the sum of their figures.
WITH quarters AS (
    SELECT d.scope, d.journey_id, d.node_id, d.day, d.metric, d.channel, d.currency, s.slot, s.value
      FROM counter_day AS d CROSS JOIN LATERAL unnest(d.slots, d.sums) AS s (slot, value) WHERE d.team_id = :team_id
), hours AS (
    SELECT journey_id, node_id, date_trunc('month', day, 'UTC') AS month, metric, channel, currency, value,
           (extract(day FROM day AT TIME ZONE 'UTC')::integer - 1) * 24 + slot / 4 AS hour
      FROM quarters WHERE scope = :figure
), pairs AS (
    SELECT journey_id, metric, kept.value AS kept, figures.value AS figures
      FROM (SELECT journey_id, day, metric, channel, currency, slot, sum(value)::bigint AS value
              FROM quarters WHERE scope = :of_team GROUP BY 1, 2, 3, 4, 5, 6) AS kept
      FULL JOIN (
        SELECT :no_journey::uuid AS journey_id, day, metric, channel, currency, slot, sum(value)::bigint AS value
          FROM quarters WHERE scope = :figure AND metric = ANY (:send_metrics::smallint[]) AND channel <> :no_channel GROUP BY 1, 2, 3, 4, 5, 6)
        AS figures USING (journey_id, day, metric, channel, currency, slot)
     UNION ALL
    SELECT journey_id, metric, kept.value, figures.value
      FROM (SELECT m.scope, m.journey_id, m.month, m.metric, m.channel, m.currency, s.hour::integer AS hour, s.value
              FROM counter_month AS m CROSS JOIN LATERAL unnest(m.hours, m.sums) AS s (hour, value) WHERE m.team_id = :team_id) AS kept
      FULL JOIN (
        SELECT scope, journey_id, month, metric, channel, currency, hour, sum(value)::bigint AS value
          FROM (
            SELECT :of_journey::smallint AS scope, journey_id, month, metric, :no_channel::smallint AS channel, currency, hour, value
              FROM hours WHERE metric = ANY (:journey_metrics::smallint[])
             UNION ALL
            SELECT :of_team::smallint, :no_journey::uuid, month, metric, channel, currency, hour, value
              FROM hours
             WHERE metric = ANY (:send_metrics::smallint[]) AND channel <> :no_channel
                OR journey_id = :no_journey::uuid AND node_id = '' AND channel = :no_channel AND metric <> ALL (:journey_metrics::smallint[])) AS one
         GROUP BY 1, 2, 3, 4, 5, 6, 7) AS figures USING (scope, journey_id, month, metric, channel, currency, hour)
)
SELECT journey_id, metric, '' AS node_id, COALESCE(kept, 0) AS total, COALESCE(figures, 0) AS summed
  FROM pairs WHERE COALESCE(kept, 0) <> COALESCE(figures, 0)
 ORDER BY 1, 2 LIMIT :row_max;

-- name: differing_orders
-- Orders and revenue of journeys that are not those of the orders that are counted for them.
SELECT COALESCE(t.journey_id, s.journey_id) AS journey_id, COALESCE(t.metric, s.metric) AS metric, COALESCE(t.node_id, s.node_id) AS node_id,
       COALESCE(t.value, 0) AS total, COALESCE(s.value, 0) AS summed
  FROM (SELECT * FROM total WHERE team_id = :team_id AND metric IN (:orders::smallint, :revenue::smallint)) AS t
  FULL JOIN (
    SELECT journey_id, :orders::smallint AS metric, node_id, channel, '' AS currency, count(*) AS value
      FROM shop_order WHERE team_id = :team_id AND journey_id IS NOT NULL GROUP BY 1, 3, 4
     UNION ALL
    SELECT journey_id, :revenue::smallint, node_id, channel, currency, sum(counted_micros)::bigint
      FROM shop_order WHERE team_id = :team_id AND journey_id IS NOT NULL GROUP BY 1, 3, 4, 5) AS s
    USING (journey_id, metric, node_id, channel, currency)
 WHERE COALESCE(t.value, 0) <> COALESCE(s.value, 0)
 ORDER BY 1, 2, 3 LIMIT :row_max;

-- name: differing_firsts
-- What counts once beside what is noted as seen.
SELECT '00000000-0000-0000-0000-000000000000'::uuid AS journey_id, k.metric, '' AS node_id,
       COALESCE((SELECT sum(t.value)::bigint FROM total AS t WHERE t.team_id = :team_id AND t.metric = k.metric), 0) AS total,
       (SELECT count(*) FROM first_time AS f WHERE f.team_id = :team_id AND f.kind = k.kind) AS summed
  FROM unnest(:kinds::smallint[], :metrics::smallint[]) AS k (kind, metric);
