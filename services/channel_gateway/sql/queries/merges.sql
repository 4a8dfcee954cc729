-- Customers who were merged.

-- name: note_merged_customer
-- Nothing where it is noted already. Whoever was merged into the one who goes leads on to the one who stays.
WITH led_on AS (
    UPDATE merged_customer SET survivor_id = :survivor_id WHERE team_id = :team_id AND survivor_id = :customer_id
)
INSERT INTO merged_customer (team_id, customer_id, survivor_id, merge_id)
VALUES (:team_id, :customer_id, :survivor_id, :merge_id)
ON CONFLICT (team_id, customer_id) DO NOTHING RETURNING true

-- name: move_frequency_uses
-- What the one who goes was sent counts under the caps of the one who stays.
UPDATE frequency_use SET customer_id = :survivor_id WHERE team_id = :team_id AND customer_id = :customer_id
