-- Erasures of persons, and what they take out of segment's own tables.

-- name: insert_erasure
INSERT INTO erasure (team_id, erasure_id, customer_id, created_at, updated_at)
VALUES (:team_id, :erasure_id, :customer_id, :now, :now)

-- name: get_erasure
SELECT team_id, erasure_id, customer_id, step, cursor, known, mail_number, tries, created_at, updated_at
  FROM erasure WHERE team_id = :team_id AND erasure_id = :erasure_id

-- name: erasure_of_customer
SELECT team_id, erasure_id, customer_id, step, cursor, known, mail_number, tries, created_at, updated_at
  FROM erasure WHERE team_id = :team_id AND customer_id = :customer_id

-- name: erased_customers
-- Which of these are being erased, or were, and are no customers any more.
SELECT e.team_id, e.customer_id
  FROM unnest(:keys::input_customer[]) AS w
 CROSS JOIN LATERAL (
    SELECT r.team_id, r.customer_id FROM erasure AS r
     WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id AND r.step > erasure_step('CLOSE') LIMIT 1
 ) AS e

-- name: is_any_being_erased
-- Of customers who are there still: an erasure of them has begun.
SELECT EXISTS (
    SELECT FROM erasure WHERE team_id = :team_id AND customer_id = ANY (:customer_ids::uuid[]) AND step <= erasure_step('CLOSE'))

-- name: list_erasures
SELECT team_id, erasure_id, customer_id, step, cursor, known, mail_number, tries, created_at, updated_at
  FROM erasure
 WHERE team_id = :team_id
   AND (:before_time::timestamptz IS NULL OR (created_at, erasure_id) < (:before_time, :before_id::uuid))
 ORDER BY created_at DESC, erasure_id DESC LIMIT :most

-- name: claim_erasure
SELECT team_id, erasure_id FROM claim_erasure(:own, :claim_s)

-- name: advance_erasure
-- Notes how far it is and renews the claim; no row if it is not the claim's any more.
UPDATE erasure
   SET step = :step::smallint, cursor = :cursor, known = :known, mail_number = :mail_number, tries = 0, updated_at = :now,
       claimed_until = CASE WHEN :step::smallint < erasure_step('DONE') THEN clock_timestamp() + make_interval(secs => :claim_s) END
 WHERE team_id = :team_id AND erasure_id = :erasure_id AND claim = :own
RETURNING true

-- name: leave_erasure
-- Gives it back, to be gone on with after so many real seconds.
UPDATE erasure SET tries = tries + 1, claimed_until = clock_timestamp() + make_interval(secs => :pause_s)
 WHERE team_id = :team_id AND erasure_id = :erasure_id AND claim = :own

-- name: browsers_of_customer
-- Also of those who were merged into the customer.
SELECT b.token
  FROM (SELECT :customer_id::uuid AS customer_id
         UNION ALL SELECT m.customer_id FROM merged_customer AS m WHERE m.team_id = :team_id AND m.survivor_id = :customer_id) AS one
  JOIN browser AS b ON b.team_id = :team_id AND b.customer_id = one.customer_id
 ORDER BY b.token LIMIT :most

-- name: merged_into_customer
-- Those who were merged into the customer: the number of their last mail, and what they were known by.
SELECT m.customer_id, m.mail_number, m.member_id, m.phone, m.email
  FROM merged_customer AS m WHERE m.team_id = :team_id AND m.survivor_id = :customer_id ORDER BY m.customer_id

-- name: aliases_of_customer
SELECT text FROM customer_alias WHERE team_id = :team_id AND customer_id = :customer_id ORDER BY text LIMIT :most

-- name: removals_of_customer
-- Facts that say which ids on channels the customer, or who was merged into them, has no longer. `kind` is what their bodies begin with.
SELECT f.body
  FROM (SELECT :customer_id::uuid AS customer_id
         UNION ALL SELECT m.customer_id FROM merged_customer AS m WHERE m.team_id = :team_id AND m.survivor_id = :customer_id) AS one
  JOIN fact AS f ON f.team_id = :team_id AND f.customer_id = one.customer_id AND f.mail_number IS NOT NULL
 WHERE octet_length(f.body) > 1 AND get_byte(f.body, 1) = :kind
 ORDER BY f.mail_number DESC LIMIT :most

-- name: former_ids
-- Of ids that were the customer's, and those from which one of theirs was moved: all that are nobody else's by now.
WITH RECURSIVE had (external_id) AS (
    SELECT unnest(:removed::text[] || :present::text[])
     UNION
    SELECT m.external_id FROM moved_identity AS m JOIN had AS h ON m.moved_to = h.external_id WHERE m.team_id = :team_id
)
SELECT h.external_id
  FROM had AS h
 WHERE NOT EXISTS (
    SELECT FROM platform.channel_account AS a
      JOIN identity AS i ON i.team_id = a.team_id AND i.channel = a.channel AND i.account_id = a.account_id AND i.external_id = h.external_id
     WHERE a.team_id = :team_id AND i.customer_id <> :customer_id)
   AND NOT EXISTS (
    SELECT FROM customer AS c WHERE c.team_id = :team_id AND c.phone = '+' || h.external_id AND c.customer_id <> :customer_id)
 ORDER BY h.external_id LIMIT :most

-- name: is_merged_into
-- Whether somebody is being merged into the customer.
SELECT EXISTS (SELECT FROM customer_merge WHERE team_id = :team_id AND survivor_id = :customer_id AND end_time IS NULL)

-- name: insert_merged_erasures
-- Of those who were merged into a customer who is closed: what is kept under their own ids is removed as the customer's.
INSERT INTO erasure (team_id, erasure_id, customer_id, step, known, mail_number, created_at, updated_at)
SELECT :team_id, n.erasure_id, n.customer_id, erasure_step('END_ENROLMENTS'), :known, n.mail_number, :now, :now
  FROM unnest(:erasure_ids::uuid[], :customer_ids::uuid[], :mail_numbers::bigint[]) AS n (erasure_id, customer_id, mail_number)
ON CONFLICT ON CONSTRAINT erasure_of_customer DO NOTHING

-- name: are_merged_erased
-- Whether all who were merged into the customer are erased.
SELECT NOT EXISTS (
    SELECT FROM merged_customer AS m JOIN erasure AS e ON e.team_id = m.team_id AND e.customer_id = m.customer_id
     WHERE m.team_id = :team_id AND m.survivor_id = :customer_id AND e.step < erasure_step('DONE'))

-- name: remove_customer
-- All rows by which the customer is known, and their own; also by which those were known who were merged into them.
WITH RECURSIVE known (external_id) AS (
    SELECT unnest(:external_ids::text[])
     UNION
    SELECT m.external_id FROM moved_identity AS m JOIN known AS k ON m.moved_to = k.external_id WHERE m.team_id = :team_id
), moves AS (
    DELETE FROM moved_identity AS m USING known AS k
     WHERE m.team_id = :team_id AND k.external_id IN (m.external_id, m.moved_to)
), tags AS (
    DELETE FROM customer_tag WHERE team_id = :team_id AND customer_id = :customer_id
), own_values AS (
    DELETE FROM customer_attribute WHERE team_id = :team_id AND customer_id = :customer_id
), browsers AS (
    DELETE FROM browser WHERE team_id = :team_id AND customer_id = :customer_id
), identities AS (
    DELETE FROM identity WHERE team_id = :team_id AND customer_id = :customer_id
), departures AS (
    DELETE FROM departure WHERE team_id = :team_id AND external_id = ANY (:external_ids::text[])
), points AS (
    UPDATE customer_points SET known = false WHERE team_id = :team_id AND customer_id = :customer_id
), aliases AS (
    DELETE FROM customer_alias WHERE team_id = :team_id AND customer_id = :customer_id
), merged AS (
    UPDATE merged_customer SET member_id = NULL, name = '', phone = NULL, email = NULL
     WHERE team_id = :team_id AND survivor_id = :customer_id
), merged_browsers AS (
    DELETE FROM browser AS b USING merged_customer AS m
     WHERE b.team_id = :team_id AND m.team_id = :team_id AND m.survivor_id = :customer_id AND b.customer_id = m.customer_id
), conflicts AS (
    DELETE FROM identity_conflict WHERE team_id = :team_id AND :customer_id IN (customer_id, other_customer_id)
), lines AS (
    UPDATE contact_import_row SET cells = '{}', message = ''
     WHERE team_id = :team_id
       AND customer_id IN (SELECT :customer_id::uuid
                            UNION ALL
                           SELECT customer_id FROM merged_customer WHERE team_id = :team_id AND survivor_id = :customer_id)
)
DELETE FROM customer WHERE team_id = :team_id AND customer_id = :customer_id

-- name: history_end
SELECT position FROM history_head WHERE partition = :partition

-- name: facts_of_customer
-- Of a part of the customer's partition, with the keys of the reports that made them.
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body, event_key
  FROM fact
 WHERE partition = :partition AND position > :after AND position <= :until AND team_id = :team_id AND customer_id = :customer_id
 ORDER BY position

-- name: hide_event_keys
UPDATE fact AS f SET event_key = n.key
  FROM unnest(:positions::bigint[], :keys::text[]) AS n (position, key)
 WHERE f.partition = :partition AND f.position = n.position AND f.event_key IS NOT NULL

-- name: lock_orders
SELECT o.shop_id, o.order_id, o.body
  FROM unnest(:shops::text[], :orders::text[]) AS n (shop_id, order_id)
 CROSS JOIN LATERAL (
    SELECT * FROM shop_order AS r
     WHERE r.team_id = :team_id AND r.shop_id = n.shop_id AND r.order_id = n.order_id AND r.customer_id = :customer_id
       FOR NO KEY UPDATE
 ) AS o

-- name: replace_orders
UPDATE shop_order AS o SET body = n.body
  FROM unnest(:shops::text[], :orders::text[], :bodies::bytea[]) AS n (shop_id, order_id, body)
 WHERE o.team_id = :team_id AND o.shop_id = n.shop_id AND o.order_id = n.order_id

-- name: own_event_keys
-- Keys that no fact carries, in their order.
SELECT event_key, customer_id FROM event_key
 WHERE team_id = :team_id AND event_key > :after ORDER BY event_key LIMIT :row_max

-- name: hide_own_event_keys
UPDATE event_key AS k SET event_key = n.key
  FROM unnest(:before::text[], :keys::text[]) AS n (before, key)
 WHERE k.team_id = :team_id AND k.event_key = n.before

-- name: erase_audit_entries
SELECT platform.erase_audit_entries(:team_id, :after::uuid, :row_max, :identifiers::text[]) AS last
