-- name: read_gateway_cursors
SELECT partition, position FROM gateway_cursor

-- name: follow_marks
SELECT follow_marks(:teams, :steps, :marks, :now)

-- name: move_gateway_cursors
SELECT move_gateway_cursors(:steps)

-- name: set_row_aside
INSERT INTO row_set_aside (partition, position, reason) VALUES (:partition, :position, :reason) ON CONFLICT DO NOTHING
