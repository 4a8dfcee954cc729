-- Persons: what is held of one, and how it is taken out.

-- name: delete_person
DELETE FROM points.customer WHERE team_id = :team_id AND customer_id = :customer_id

-- name: hold_account
SELECT sequence FROM points.account WHERE team_id = :team_id AND customer_id = :customer_id FOR UPDATE

-- name: first_note
-- The first entry of a customer that somebody wrote a note to.
SELECT min(sequence) FROM points.entry
 WHERE team_id = :team_id AND customer_id = :customer_id AND source = entry_source('MANUAL') AND note <> ''

-- name: entries_from
-- From the one before a sequence on, as the checker reads them.
SELECT team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
       delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at, posted_at, key,
       actor, order_key, enrolment_id, node_id, note, hash
  FROM points.entry
 WHERE team_id = :team_id AND customer_id = :customer_id AND sequence >= :sequence ORDER BY sequence LIMIT :row_max

-- name: erase_notes
SELECT points.erase_notes(:team_id, :customer_id, :sequences::bigint[], :hashes::bytea[])

-- name: blank_import_rows
-- Of the next lines of imports after one; the last of them.
WITH page AS MATERIALIZED (
    SELECT import_id, row_number, customer_id, lower(member_id || ' ' || email || ' ' || phone || ' ' || points_text) AS text
      FROM points.import_row
     WHERE team_id = :team_id AND (import_id, row_number) > (:import_id::uuid, :row_number::bigint)
     ORDER BY import_id, row_number LIMIT :row_max
), blanked AS (
    UPDATE points.import_row AS r SET member_id = '', email = '', phone = '', points_text = ''
      FROM page AS p
     WHERE r.team_id = :team_id AND r.import_id = p.import_id AND r.row_number = p.row_number
       AND (p.customer_id = :customer_id OR EXISTS (SELECT FROM unnest(:texts::text[]) AS i WHERE strpos(p.text, i) > 0))
)
SELECT p.import_id, p.row_number FROM page AS p ORDER BY 1 DESC, 2 DESC LIMIT 1

-- name: read_claims_of_person
SELECT c.claim_id, c.coupon_id, c.code, c.points_paid, c.created_at, c.expires_at, u.used_at, u.place
  FROM points.coupon_claim AS c
  LEFT JOIN points.coupon_use AS u ON u.team_id = c.team_id AND u.claim_id = c.claim_id
 WHERE c.team_id = :team_id AND c.customer_id = :customer_id ORDER BY c.created_at
