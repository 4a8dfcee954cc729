-- Persons: what is held of one, and how it is taken out. Figures stay.

-- name: delete_clicks_of_person
DELETE FROM journey_click WHERE team_id = :team_id AND customer_id = :customer_id

-- name: read_clicks_of_person
SELECT clicked_at, journey_id, node_id, channel FROM journey_click
 WHERE team_id = :team_id AND customer_id = :customer_id ORDER BY clicked_at

-- name: forget_journey_clicks
SELECT forget_journey_clicks(:clicked_before, :row_max)
