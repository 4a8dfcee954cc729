-- The copy of customers' basic data, and how far segment's history is taken.

-- name: find_customers
SELECT * FROM points.find_customers(:team_id, :pattern, :row_max)

-- name: is_named
SELECT EXISTS (
    SELECT FROM points.customer WHERE team_id = :team_id AND customer_id = :customer_id AND folded LIKE :pattern
)

-- name: read_customer_cursors
SELECT partition, position FROM points.customer_cursor

-- name: move_customer_cursors
-- A row for each that was still at its position before.
UPDATE points.customer_cursor AS c
   SET position = moved.position_after
  FROM unnest(:rows::points.cursor_row[]) AS moved
 WHERE c.partition = moved.partition AND c.position = moved.position_before
RETURNING c.partition

-- name: set_row_aside
INSERT INTO points.row_set_aside (partition, position, reason) VALUES (:partition, :position, :reason)
ON CONFLICT (partition, position) DO NOTHING

-- name: list_rows_aside
SELECT partition, position, reason, set_aside_at FROM points.row_set_aside
 WHERE (partition, position) > (:after_partition::bigint, :after_position::bigint)
 ORDER BY partition, position LIMIT :row_max

-- name: count_rows_aside
SELECT count(*) FROM points.row_set_aside

-- name: hold_customer_cursor
SELECT position FROM points.customer_cursor WHERE partition = :partition FOR UPDATE

-- name: drop_row_aside
DELETE FROM points.row_set_aside WHERE partition = :partition AND position = :position RETURNING true

-- name: write_customers
INSERT INTO points.customer (team_id, customer_id, name, member_id, email, phone, folded)
SELECT input.* FROM unnest(:rows::points.customer_row[]) AS input
ON CONFLICT (team_id, customer_id) DO UPDATE
   SET name = excluded.name, member_id = excluded.member_id, email = excluded.email, phone = excluded.phone,
       folded = excluded.folded

-- name: delete_customers
DELETE FROM points.customer AS c
 USING unnest(:teams::uuid[], :customers::uuid[]) AS gone (team_id, customer_id)
 WHERE c.team_id = gone.team_id AND c.customer_id = gone.customer_id

-- name: read_names
SELECT c.customer_id, c.name, c.member_id
  FROM unnest(:customers::uuid[]) AS wanted (customer_id)
 CROSS JOIN LATERAL (
    SELECT customer_id, name, member_id
      FROM points.customer AS r
     WHERE r.team_id = :team_id AND r.customer_id = wanted.customer_id
     LIMIT 1
 ) AS c
