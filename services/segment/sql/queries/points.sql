-- name: read_points_cursors
SELECT partition, position FROM points_cursor

-- name: follow_points
SELECT follow_points(:teams, :steps, :changes)

-- name: move_points_cursors
SELECT move_points_cursors(:steps)

-- name: set_points_row_aside
INSERT INTO points_row_set_aside (partition, position, reason) VALUES (:partition, :position, :reason) ON CONFLICT DO NOTHING
