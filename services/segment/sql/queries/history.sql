-- The history of facts.

-- name: read_facts
-- A transaction of its own. `kinds` are tags of bodies, null: all.
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
  FROM fact_feed_v2(:partitions, :after, :kinds, :only_mail, :row_max, :byte_max)

-- name: read_customer_mail
-- A transaction of its own.
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
  FROM customer_mail_v2(:team_id, :customer_id, :after_number, :row_max, :byte_max)

-- name: read_team_mail
-- `after_…` is the key of the last mail read. `page_rows`: how many there were before those after `byte_max` bytes were left out.
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body, page_rows
  FROM (
    SELECT f.*, count(*) OVER () AS page_rows,
           sum(octet_length(f.body)) OVER (ORDER BY f.customer_id, f.mail_number ROWS UNBOUNDED PRECEDING)
           - octet_length(f.body) AS bytes_before
      FROM (
        SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
          FROM fact
         WHERE team_id = :team_id AND mail_number IS NOT NULL AND record_time >= :since
           AND (customer_id, mail_number) > (:after_customer_id, :after_number)
         ORDER BY customer_id, mail_number LIMIT :row_max
      ) AS f
  ) AS page
 WHERE bytes_before < :byte_max
 ORDER BY customer_id, mail_number

-- name: list_facts
-- `after_…` is the key of the last fact seen. `page_rows`: how many there were before those after `byte_max` bytes were left out.
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body, page_rows
  FROM (
    SELECT f.*, count(*) OVER () AS page_rows,
           sum(octet_length(f.body)) OVER (ORDER BY f.occur_time, f.partition, f.position ROWS UNBOUNDED PRECEDING)
           - octet_length(f.body) AS bytes_before
      FROM (
        SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
          FROM fact
         WHERE team_id = :team_id AND occur_time >= :start_time AND occur_time < :end_time
           AND (occur_time, partition, position) > (:after_time, :after_partition, :after_position)
         ORDER BY occur_time, partition, position LIMIT :row_max
      ) AS f
  ) AS page
 WHERE bytes_before < :byte_max
 ORDER BY occur_time, partition, position

-- name: list_newest_facts
-- The same in the other order.
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body, page_rows
  FROM (
    SELECT f.*, count(*) OVER () AS page_rows,
           sum(octet_length(f.body)) OVER (ORDER BY f.occur_time DESC, f.partition DESC, f.position DESC ROWS UNBOUNDED PRECEDING)
           - octet_length(f.body) AS bytes_before
      FROM (
        SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
          FROM fact
         WHERE team_id = :team_id AND occur_time >= :start_time AND occur_time < :end_time
           AND (occur_time, partition, position) < (:after_time, :after_partition, :after_position)
         ORDER BY occur_time DESC, partition DESC, position DESC LIMIT :row_max
      ) AS f
  ) AS page
 WHERE bytes_before < :byte_max
 ORDER BY occur_time DESC, partition DESC, position DESC

-- name: list_facts_of_customer
-- As `list_facts`, or `list_newest_facts` where `newest_first`. All of one customer are put in order, and the bodies of a page are read.
WITH own AS MATERIALIZED (
    SELECT partition, position, occur_time FROM fact
     WHERE team_id = :team_id AND customer_id = :customer_id AND mail_number IS NOT NULL
       AND occur_time >= :start_time AND occur_time < :end_time
     UNION ALL
    SELECT partition, position, occur_time FROM fact
     WHERE team_id = :team_id AND customer_id = :customer_id AND mail_number IS NULL
       AND occur_time >= :start_time AND occur_time < :end_time
), numbered AS (
    SELECT o.partition, o.position,
           row_number() OVER (ORDER BY CASE WHEN NOT :newest_first THEN o.occur_time END, CASE WHEN :newest_first THEN o.occur_time END DESC,
                                       CASE WHEN :newest_first THEN -o.position ELSE o.position END) AS place
      FROM own AS o
     WHERE CASE WHEN :newest_first THEN (o.occur_time, o.partition, o.position) < (:after_time, :after_partition, :after_position)
                ELSE (o.occur_time, o.partition, o.position) > (:after_time, :after_partition, :after_position) END
), page AS (
    SELECT f.*, n.place, count(*) OVER () AS page_rows,
           sum(octet_length(f.body)) OVER (ORDER BY n.place ROWS UNBOUNDED PRECEDING) - octet_length(f.body) AS bytes_before
      FROM (SELECT * FROM numbered WHERE place <= :row_max) AS n
     CROSS JOIN LATERAL (SELECT * FROM fact AS r WHERE r.partition = n.partition AND r.position = n.position LIMIT 1) AS f
)
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body, page_rows
  FROM page WHERE bytes_before < :byte_max ORDER BY place

-- name: load_mail_cursors
SELECT partition, position FROM mail_cursor

-- name: save_mail_cursors
UPDATE mail_cursor AS c SET position = n.position
  FROM unnest(:cursors::cursor_position[]) AS n
 WHERE c.partition = n.partition AND c.position < n.position
