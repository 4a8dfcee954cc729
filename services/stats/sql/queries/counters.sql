-- Figures: sums of counters.

-- name: totals
-- Sums of a team's counters of these journeys over all time.
SELECT metric, journey_id, node_id, channel, currency, value
  FROM total WHERE team_id = :team_id AND journey_id = ANY (:journey_ids::uuid[]);

-- name: sums
-- The same from `start_time` to before `end_time`; either may be absent.
SELECT metric, journey_id, node_id, channel, currency, sum(value)::bigint AS value
  FROM counter
 WHERE team_id = :team_id AND journey_id = ANY (:journey_ids::uuid[])
   AND quarter >= COALESCE(:start_time::timestamptz, '-infinity')
   AND quarter < COALESCE(:end_time::timestamptz, 'infinity')
 GROUP BY metric, journey_id, node_id, channel, currency;

-- name: series
-- The same of one journey by step, of which `step_starts` are the starts, in order; steps are numbered from 1.
SELECT width_bucket(quarter, :step_starts::timestamptz[]) AS step, metric, journey_id, node_id, channel, currency,
       sum(value)::bigint AS value
  FROM counter
 WHERE team_id = :team_id AND journey_id = :journey_id AND quarter >= :start_time AND quarter < :end_time
 GROUP BY step, metric, journey_id, node_id, channel, currency
 ORDER BY step;

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
