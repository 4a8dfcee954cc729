-- Mail that this service numbers: system triggers, and enrolments that people end.

-- name: recorded_triggers
SELECT request_key, customer_id, journey_id, data FROM mail
 WHERE team_id = :team_id AND request_key = ANY (:request_keys::uuid[]);

-- name: any_recorded_or_merged
-- Whether any of these has mail by now, or is of a customer who was merged.
SELECT EXISTS (SELECT FROM mail WHERE team_id = :team_id AND request_key = ANY (:request_keys::uuid[]))
    OR EXISTS (SELECT FROM merged_customer WHERE team_id = :team_id AND customer_id = ANY (:customer_ids::uuid[]));

-- name: data_of_trigger
SELECT data FROM mail WHERE team_id = :team_id AND request_key = :request_key;

-- name: customers_of_triggers
-- Of those of a journey that have mail.
SELECT request_key, customer_id FROM mail
 WHERE team_id = :team_id AND journey_id = :journey_id AND request_key = ANY (:request_keys::uuid[]);

-- name: next_mail_numbers
-- Locks the customers' counters in one order and reserves so many numbers of each. The number returned is the last of them.
INSERT INTO mail_number AS m (team_id, customer_id, number)
SELECT :team_id, k.customer_id, k.n FROM unnest(:customer_ids::uuid[], :counts::bigint[]) AS k (customer_id, n)
 ORDER BY k.customer_id
ON CONFLICT (team_id, customer_id) DO UPDATE SET number = m.number + excluded.number
RETURNING customer_id, number;

-- name: append_mail
INSERT INTO mail (partition, position, team_id, customer_id, number, request_key, journey_id, occurred_at)
SELECT * FROM unnest(:rows::trigger_mail_row[]);

-- name: append_mail_with_data
-- Where any has data; the others have null.
INSERT INTO mail (partition, position, team_id, customer_id, number, request_key, journey_id, occurred_at, data)
SELECT * FROM unnest(:rows::trigger_mail_row[], :data::jsonb[]);

-- name: append_end
INSERT INTO mail (partition, position, team_id, customer_id, number, request_key, journey_id, occurred_at, ends_enrolment_id, note)
VALUES (:partition, :position, :team_id, :customer_id, :number, :request_key, :no_journey, :occurred_at,
        :enrolment_id, :note);

-- name: find_end
-- Whether the mail of a request that ends an enrolment was taken, and whether its customer is set aside; no row if there is none.
SELECT m.number <= COALESCE(a.taken_journey, 0) AS taken,
       EXISTS (
            SELECT FROM parked_customer AS p
             WHERE p.partition = m.partition AND p.team_id = m.team_id AND p.customer_id = m.customer_id) AS parked
  FROM mail AS m
  LEFT JOIN actor AS a ON a.partition = m.partition AND a.team_id = m.team_id AND a.customer_id = m.customer_id
 WHERE m.team_id = :team_id AND m.request_key = :request_key;

-- name: forget_trigger_data
SELECT forget_trigger_data_v2(:others, :teams, :before, :row_max);

-- name: load_mail_cursors
SELECT partition, position FROM mail_cursor;

-- name: save_mail_cursors
UPDATE mail_cursor AS c SET position = k.position
  FROM unnest(:partitions::smallint[], :positions::bigint[]) AS k (partition, position)
 WHERE c.partition = k.partition AND c.position < k.position;

-- name: mail_of_customer
SELECT partition, position, team_id, customer_id, number, request_key, journey_id, occurred_at, ends_enrolment_id, note, data
  FROM mail WHERE team_id = :team_id AND customer_id = :customer_id AND number > :after ORDER BY number LIMIT :limit;
