-- Actors of customers who are merged.

-- name: merged_customer
SELECT survivor_id, merge_id FROM merged_customer WHERE team_id = :team_id AND customer_id = :customer_id;

-- name: merged_among
-- Of these customers those who were merged, and whom into.
SELECT customer_id, survivor_id FROM merged_customer WHERE team_id = :team_id AND customer_id = ANY (:customer_ids::uuid[]);

-- name: note_merged_customer
-- Whoever was merged into the one who goes leads on to the one who stays.
WITH led_on AS (
    UPDATE merged_customer SET survivor_id = :survivor_id WHERE team_id = :team_id AND survivor_id = :customer_id
)
INSERT INTO merged_customer (team_id, customer_id, survivor_id, merge_id, shard)
VALUES (:team_id, :customer_id, :survivor_id, :merge_id, :shard);

-- name: hold_mail_number
-- Nobody numbers mail of the customer until the transaction ends; the last number.
INSERT INTO mail_number AS m (team_id, customer_id, number) VALUES (:team_id, :customer_id, 0)
ON CONFLICT (team_id, customer_id) DO UPDATE SET number = m.number
RETURNING number;

-- name: last_mail_number
SELECT number FROM mail_number WHERE team_id = :team_id AND customer_id = :customer_id;

-- name: hold_actors
-- No turn of these customers is committed until the transaction ends; how many of them have actors.
SELECT count(*) FROM (
    SELECT FROM unnest(:partitions::smallint[], :customer_ids::uuid[]) AS k (partition, customer_id)
      JOIN actor AS a ON a.partition = k.partition AND a.team_id = :team_id AND a.customer_id = k.customer_id
     ORDER BY a.partition, a.customer_id FOR UPDATE OF a) AS held;

-- name: forget_places
-- The places that enrolments of a customer took in months of the plan: they are used for good.
DELETE FROM plan_place AS p
 WHERE p.team_id = :team_id AND p.customer_id = :customer_id
   AND (p.enrolment_id = ANY (:live_ids::uuid[]) OR EXISTS (
        SELECT FROM enrolment AS e
         WHERE e.partition = p.partition AND e.team_id = p.team_id AND e.customer_id = p.customer_id
           AND e.enrolment_id = p.enrolment_id));

-- name: move_enrolments
UPDATE enrolment SET partition = :to_partition, customer_id = :survivor_id
 WHERE partition = :partition AND team_id = :team_id AND customer_id = :customer_id;

-- name: forget_orphans_of_customer
DELETE FROM orphan WHERE partition = :partition AND team_id = :team_id AND customer_id = :customer_id;
