-- How far each history is counted.

-- name: load_cursors
SELECT partition, position FROM cursor WHERE source = :source;

-- name: count_rows
-- `counted`: the sum of the history's cursors.
SELECT count_rows(:source, :counted, :steps::cursor_step[], :counters::counter_row[], :firsts::first_row[]);

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
