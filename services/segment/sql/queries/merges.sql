-- Merges of customers.

-- name: close_customer
SELECT close_customer(:team_id, :loser_id, :survivor_id, :now)

-- name: insert_customer_merge
INSERT INTO customer_merge (team_id, customer_merge_id, survivor_id, loser_id, actor, last_mail_number, state, step, create_time)
VALUES (:team_id, :customer_merge_id, :survivor_id, :loser_id, :actor, :last_mail_number, :state, :step, :create_time)

-- name: get_customer_merge
SELECT team_id, customer_merge_id, survivor_id, loser_id, actor, last_mail_number, state, step, waits_for, version, tries, create_time, end_time
  FROM customer_merge WHERE team_id = :team_id AND customer_merge_id = :customer_merge_id

-- name: list_customer_merges
-- `customer_id` and `before_…` may be null. Newest first.
SELECT team_id, customer_merge_id, survivor_id, loser_id, actor, last_mail_number, state, step, waits_for, version, tries, create_time, end_time
  FROM customer_merge
 WHERE team_id = :team_id AND (:customer_id::uuid IS NULL OR :customer_id IN (survivor_id, loser_id))
   AND (:before_time::timestamptz IS NULL OR (create_time, customer_merge_id) < (:before_time, :before_id::uuid))
 ORDER BY create_time DESC, customer_merge_id DESC LIMIT :row_max

-- name: claim_customer_merge
SELECT team_id, customer_merge_id, version, wait_s FROM claim_customer_merge(:claim_s)

-- name: move_customer_merge
-- On to a step, at once due, if it is still the claim's.
UPDATE customer_merge SET step = :step, waits_for = '', tries = 0, due_at = clock_timestamp()
 WHERE team_id = :team_id AND customer_merge_id = :customer_merge_id AND version = :version
RETURNING true

-- name: put_off_customer_merge
UPDATE customer_merge SET waits_for = :waits_for, due_at = clock_timestamp() + make_interval(secs => :pause_s)
 WHERE team_id = :team_id AND customer_merge_id = :customer_merge_id AND version = :version

-- name: end_customer_merge
UPDATE customer_merge SET state = :state, step = :step, waits_for = '', end_time = :now
 WHERE team_id = :team_id AND customer_merge_id = :customer_merge_id AND version = :version AND end_time IS NULL
RETURNING true

-- name: merged_customers
-- Of these customers those who were merged.
SELECT m.team_id, m.customer_id, m.survivor_id
  FROM unnest(:keys::input_customer[]) AS w
 CROSS JOIN LATERAL (
    SELECT r.team_id, r.customer_id, r.survivor_id FROM merged_customer AS r
     WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id LIMIT 1
 ) AS m

-- name: merged_customer
SELECT survivor_id, team_id, customer_id, member_id, name, phone, email, customer_interact_time, team_interact_time, marketed_time,
       checkout_time, mail_number, revision, create_time, update_time
  FROM merged_customer WHERE team_id = :team_id AND customer_id = :customer_id
