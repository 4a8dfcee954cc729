-- Customers who were merged.

-- name: note_merged_customer
-- Whoever was merged into the one who goes leads on to the one who stays.
WITH led_on AS (
    UPDATE points.merged_customer SET survivor_id = :survivor_id WHERE team_id = :team_id AND survivor_id = :customer_id
)
INSERT INTO points.merged_customer (team_id, customer_id, survivor_id, merge_id)
VALUES (:team_id, :customer_id, :survivor_id, :merge_id)
ON CONFLICT (team_id, customer_id) DO NOTHING

-- name: merged_into
SELECT survivor_id FROM points.merged_customer WHERE team_id = :team_id AND customer_id = :customer_id
