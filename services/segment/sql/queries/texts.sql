-- Texts of messages, which are taken out of the history when they have been kept for long enough.

-- name: load_text_cursors
SELECT partition, position FROM text_cursor

-- name: replace_bodies
-- In the order of positions. A body that is another one by now stays.
UPDATE fact AS f SET body = n.after
  FROM unnest(:partitions::smallint[], :positions::bigint[], :before::bytea[], :after::bytea[])
       AS n (partition, position, before, after)
 WHERE (f.partition, f.position) = (n.partition, n.position) AND f.body = n.before

-- name: save_text_cursors
UPDATE text_cursor AS c SET position = n.position
  FROM unnest(:cursors::cursor_position[]) AS n
 WHERE c.partition = n.partition AND c.position < n.position
