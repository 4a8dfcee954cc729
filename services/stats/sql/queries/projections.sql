-- How far each history is counted.

-- name: load_cursors
SELECT partition, position FROM cursor WHERE source = :source;

-- name: count_rows
-- `counted`: the sum of the history's cursors.
SELECT count_rows(:source, :counted, :steps::cursor_step[], :counters::counter_row[], :firsts::first_row[]);

-- name: set_row_aside
SELECT set_row_aside(:source, :counted, :steps::cursor_step[], :partition, :position, :reason);

-- name: count_set_aside
SELECT count(*) FROM row_set_aside WHERE source = :source;

-- name: list_set_aside
SELECT source, partition, position, reason, create_time FROM row_set_aside
 WHERE (:source::smallint IS NULL OR source = :source)
   AND (source, partition, position) > (:after_source::bigint, :after_partition::bigint, :after_position)
 ORDER BY source, partition, position LIMIT :row_max;

-- name: count_row_again
SELECT count_row_again(:source, :partition, :position, :counters::counter_row[], :firsts::first_row[]);
