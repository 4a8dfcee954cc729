-- Texts of messages, which are taken out of the history when they have been kept for long enough.

-- name: load_text_cursors
SELECT partition, position FROM text_cursor

-- name: replace_bodies
-- In the order of positions. A body that is another one by now stays.
UPDATE fact AS f SET body = n.after
  FROM unnest(:partitions::smallint[], :positions::bigint[], :before::bytea[], :after::bytea[])
       AS n (partition, position, before, after)
 WHERE (f.partition, f.position) = (n.partition, n.position) AND f.body = n.before

-- name: load_text_place
SELECT occur_time, partition, position FROM text_pruning WHERE team_id = :team_id

-- name: read_messages_of_team
-- `kind` is the tag of messages in bodies.
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
  FROM fact
 WHERE team_id = :team_id AND (occur_time, partition, position) > (:after_time, :after_partition, :after_position)
   AND occur_time < :before AND octet_length(body) > 1 AND get_byte(body, 1) = :kind
 ORDER BY occur_time, partition, position LIMIT :row_max

-- name: save_text_place
INSERT INTO text_pruning (team_id, occur_time, partition, position) VALUES (:team_id, :occur_time, :partition, :position)
ON CONFLICT (team_id) DO UPDATE
   SET occur_time = EXCLUDED.occur_time, partition = EXCLUDED.partition, position = EXCLUDED.position

-- name: save_text_cursors
UPDATE text_cursor AS c SET position = n.position
  FROM unnest(:cursors::cursor_position[]) AS n
 WHERE c.partition = n.partition AND c.position < n.position

-- name: load_fact_place
SELECT occur_time, partition, position FROM fact_pruning WHERE team_id = :team_id

-- name: read_old_facts
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
  FROM fact
 WHERE team_id = :team_id AND (occur_time, partition, position) > (:after_time, :after_partition, :after_position)
   AND occur_time < :before
 ORDER BY occur_time, partition, position LIMIT :row_max

-- name: save_fact_place
INSERT INTO fact_pruning (team_id, occur_time, partition, position) VALUES (:team_id, :occur_time, :partition, :position)
ON CONFLICT (team_id) DO UPDATE
   SET occur_time = EXCLUDED.occur_time, partition = EXCLUDED.partition, position = EXCLUDED.position
