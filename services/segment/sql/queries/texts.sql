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

-- name: note_passed_texts
-- As `note_passed_facts`.
INSERT INTO overdue_fact (team_id, text_only, partition, position)
SELECT f.team_id, true, f.partition, f.position FROM fact AS f
 WHERE f.team_id = :team_id AND (f.occur_time, f.partition, f.position) > (:after_time, :after_partition, :after_position)
   AND (f.occur_time, f.partition, f.position) <= (:occur_time, :partition, :position)
   AND octet_length(f.body) > 1 AND get_byte(f.body, 1) = :kind
   AND NOT EXISTS (
    SELECT FROM unnest(:partitions::smallint[], :positions::bigint[]) AS n (partition, position)
     WHERE (n.partition, n.position) = (f.partition, f.position))
ON CONFLICT DO NOTHING

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

-- name: hold_places
-- Nobody looks for overdue facts while a place moves, see `note_overdue_facts`.
SELECT FROM overdue_cursor ORDER BY partition FOR SHARE

-- name: note_passed_facts
-- Those up to a new place that are not among the given ones: recorded since these were read, or not taken yet.
INSERT INTO overdue_fact (team_id, text_only, partition, position)
SELECT f.team_id, false, f.partition, f.position FROM fact AS f
 WHERE f.team_id = :team_id AND (f.occur_time, f.partition, f.position) > (:after_time, :after_partition, :after_position)
   AND (f.occur_time, f.partition, f.position) <= (:occur_time, :partition, :position)
   AND f.customer_id IS NOT NULL
   AND NOT EXISTS (
    SELECT FROM unnest(:partitions::smallint[], :positions::bigint[]) AS n (partition, position)
     WHERE (n.partition, n.position) = (f.partition, f.position))
ON CONFLICT DO NOTHING

-- name: save_fact_place
INSERT INTO fact_pruning (team_id, occur_time, partition, position) VALUES (:team_id, :occur_time, :partition, :position)
ON CONFLICT (team_id) DO UPDATE
   SET occur_time = EXCLUDED.occur_time, partition = EXCLUDED.partition, position = EXCLUDED.position

-- name: note_overdue_facts
SELECT note_overdue_facts(:message_kind, :row_max)

-- name: read_overdue_facts
SELECT f.partition, f.position, f.team_id, f.customer_id, f.event_id, f.occur_time, f.record_time, f.depth, f.mail_number, f.body
  FROM (
    SELECT partition, position FROM overdue_fact
     WHERE team_id = :team_id AND text_only = :text_only AND (partition, position) > (:after_partition, :after_position)
     ORDER BY partition, position LIMIT :row_max
  ) AS o
  JOIN fact AS f ON f.partition = o.partition AND f.position = o.position
 ORDER BY f.partition, f.position

-- name: settle_overdue_facts
DELETE FROM overdue_fact AS o
 USING unnest(:partitions::smallint[], :positions::bigint[]) AS n (partition, position)
 WHERE o.team_id = :team_id AND o.text_only = :text_only AND o.partition = n.partition AND o.position = n.position
