-- Batches of changes: effects of journeys.

-- name: load_change_context
-- Rows of the types that the function takes, or null. `customers` are locked before the tags of those `tagged` are counted.
SELECT context.*, count_tags(:tagged) AS tag_counts
  FROM load_change_context(:customers, :effects, :tags, :own_values, :attributes) AS context

-- name: move_marketed_times
-- A transaction of its own.
SELECT moved, present FROM mark_marketed(:teams, :rows, :now)

-- name: set_usual
-- A transaction of its own; `rows` in the order of teams and customers.
SELECT places, numbers, positions, olds FROM set_usual(:teams, :now, :rows)
