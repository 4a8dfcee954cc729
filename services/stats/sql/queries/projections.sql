-- How far each history is counted.

-- name: load_cursors
SELECT partition, position FROM cursor WHERE source = :source;

-- name: count_rows
-- `counted`: the sum of the history's cursors.
SELECT count_rows(:source, :counted, :steps::cursor_step[], :counters::counter_row[], :firsts::first_row[]);

-- name: attribute_orders
-- In the transaction of `count_rows`, after it.
SELECT attribute_orders(:clicks::journey_click_row[], :orders::shop_order_row[], :refunds::order_refund_row[], :order_metric,
                        :revenue_metric);

-- name: keep_splits
-- In the transaction of `count_rows`, after it, which binds the teams.
INSERT INTO split_member (team_id, journey_id, node_id, customer_id, held_out, came_at)
SELECT DISTINCT ON (s.team_id, s.journey_id, s.node_id, s.customer_id)
       s.team_id, s.journey_id, s.node_id, s.customer_id, s.held_out, s.came_at
  FROM unnest(:splits::split_row[]) AS s
 ORDER BY s.team_id, s.journey_id, s.node_id, s.customer_id, s.came_at
ON CONFLICT DO NOTHING;

-- name: order_of
SELECT s.customer_id, s.ordered_at, s.currency, s.uncounted, s.journey_id, s.node_id, s.clicked_at, s.counted_micros,
       (SELECT max(c.clicked_at) FROM journey_click AS c
         WHERE c.team_id = s.team_id AND c.customer_id = s.customer_id AND c.clicked_at <= s.ordered_at) AS before_at
  FROM shop_order AS s
 WHERE s.team_id = :team_id AND s.order_key = :order_key AND s.ordered_at IS NOT NULL;

-- name: set_row_aside
SELECT set_row_aside(:source, :counted, :steps::cursor_step[], :partition, :position, :reason);

-- name: move_cursors
SELECT move_cursors(:source, :counted, :steps::cursor_step[]);

-- name: count_part
-- Some facts of a row whose cursors are moved apart from it.
SELECT count_rows(:source, (SELECT sum(position)::bigint FROM cursor WHERE source = :source), '{}',
                  :counters::counter_row[], :firsts::first_row[]);

-- name: keep_facts_aside
INSERT INTO row_set_aside (source, partition, position, reason, facts)
VALUES (:source, :partition, :position, :reason, :facts)
ON CONFLICT (source, partition, position) DO UPDATE SET reason = excluded.reason, facts = excluded.facts;

-- name: hold_row_aside
SELECT facts FROM row_set_aside WHERE source = :source AND partition = :partition AND position = :position FOR UPDATE;

-- name: keep_facts_left
UPDATE row_set_aside SET facts = :facts WHERE source = :source AND partition = :partition AND position = :position;

-- name: drop_row_aside
DELETE FROM row_set_aside WHERE source = :source AND partition = :partition AND position = :position;

-- name: count_set_aside
SELECT count(*) FROM row_set_aside WHERE source = ANY (:sources::smallint[]);

-- name: list_set_aside
SELECT source, partition, position, reason, create_time FROM row_set_aside
 WHERE source = ANY (:sources::smallint[])
   AND (source, partition, position) > (:after_source::bigint, :after_partition::bigint, :after_position)
 ORDER BY source, partition, position LIMIT :row_max;
