-- Every statement of points. Each runs inside a transaction that is bound to the teams it concerns, so that row-level
-- security holds teams apart even where a statement names no team.
--
-- Rows are looked up by LATERAL, one index probe for each, and changed by ON CONFLICT: to a plain join the planner prefers
-- reading all rows of the team, since the policy's condition is an index condition too and looks cheap while tables are
-- small.

-- name: read_formulas
-- $1 uuid[] teams
SELECT team_id, amount_micros, points_micros, created_at
  FROM points.formula
 WHERE team_id = ANY ($1::uuid[])

-- name: insert_formula
-- $1 team, $2 amount in micros, $3 points in micros, $4 time
INSERT INTO points.formula (team_id, amount_micros, points_micros, created_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (team_id) DO NOTHING

-- name: load_batch
-- Parameters and rows as of the function (migration 0006)
SELECT * FROM points.load_batch($1, $2, $3, $4, $5, $6, $7, $8)

-- name: lock_accounts
-- $1 uuid[] teams or the one team, $2 uuid[] customers: each pair once
SELECT points.lock_accounts($1, $2)

-- name: write_batch
-- Parameters as of the function (migration 0006)
SELECT points.write_batch(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
    $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40,
    $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52
)

-- name: read_outcome
-- $1 team, $2 key
SELECT team_id, key, fingerprint, customer_id, source, status, reason, requested_balance, delta_balance, delta_cumulative,
       shortfall, balance, cumulative, sequence, recorded_at
  FROM points.outcome
 WHERE team_id = $1 AND key = $2

-- name: read_balances
-- $1 uuid[] teams, $2 uuid[] customers; customers without an account are missing
SELECT a.*
  FROM unnest($1::uuid[], $2::uuid[]) AS wanted (team_id, customer_id)
 CROSS JOIN LATERAL (
    SELECT team_id, customer_id, balance, cumulative, sequence
      FROM points.account AS a
     WHERE a.team_id = wanted.team_id AND a.customer_id = wanted.customer_id
     LIMIT 1
 ) AS a

-- name: read_balance_at
-- $1 team, $2 customer, $3 moment. Posting times grow with the sequence: the last entry up to the moment tells.
SELECT balance, cumulative, sequence
  FROM points.entry
 WHERE team_id = $1 AND customer_id = $2 AND posted_at <= $3
 ORDER BY sequence DESC
 LIMIT 1

-- name: sum_entries
-- $1 team; sources as in the domain
SELECT count(*) AS entries,
       coalesce(sum(delta_balance) FILTER (WHERE source = 1), 0)::bigint AS earned,
       coalesce(-sum(delta_balance) FILTER (WHERE source = 5), 0)::bigint AS refunded,
       coalesce(sum(delta_balance) FILTER (WHERE source = 3 AND delta_balance > 0), 0)::bigint AS journey_added,
       coalesce(-sum(delta_balance) FILTER (WHERE source = 3 AND delta_balance < 0), 0)::bigint AS journey_deducted,
       coalesce(-sum(delta_balance) FILTER (WHERE source = 2), 0)::bigint AS redeemed,
       coalesce(sum(delta_balance) FILTER (WHERE source = 4), 0)::bigint AS imported,
       coalesce(sum(delta_balance) FILTER (WHERE source = 6), 0)::bigint AS manual,
       coalesce(sum(delta_balance), 0)::bigint AS balance,
       coalesce(sum(delta_cumulative), 0)::bigint AS cumulative
  FROM points.entry
 WHERE team_id = $1

-- name: sum_outcomes
-- $1 team; those that were dropped count on
SELECT (kept.refund_shortfall + coalesce(dropped.refund_shortfall, 0))::bigint AS refund_shortfall,
       kept.rejected + coalesce(dropped.rejected, 0) AS rejected,
       kept.skipped + coalesce(dropped.skipped, 0) AS skipped
  FROM (
    SELECT coalesce(sum(shortfall) FILTER (WHERE source = 5), 0) AS refund_shortfall,
           count(*) FILTER (WHERE status = 2) AS rejected,
           count(*) FILTER (WHERE status = 3) AS skipped
      FROM points.outcome
     WHERE team_id = $1
  ) AS kept
  LEFT JOIN points.dropped_outcome AS dropped ON dropped.team_id = $1

-- name: count_accounts
-- $1 team
SELECT count(*) FROM points.account WHERE team_id = $1

-- name: list_entries
-- $1 team, $2 from, $3 to (exclusive), $4 smallint[] sources or null, $5..$7 place after which the page goes on
-- (posted_at, customer, sequence) or nulls, $8 most rows
SELECT team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
       delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at, posted_at, key,
       actor, order_key, enrolment_id, node_id, note, hash
  FROM points.entry
 WHERE team_id = $1 AND posted_at >= $2 AND posted_at < $3
   AND ($4::smallint[] IS NULL OR source = ANY ($4::smallint[]))
   AND ($5::timestamptz IS NULL
        OR (posted_at, customer_id, sequence) < ($5::timestamptz, $6::uuid, $7::bigint))
 ORDER BY posted_at DESC, customer_id DESC, sequence DESC
 LIMIT $8

-- name: list_customer_entries
-- The same for one customer: $9
SELECT team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
       delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at, posted_at, key,
       actor, order_key, enrolment_id, node_id, note, hash
  FROM points.entry
 WHERE team_id = $1 AND customer_id = $9 AND posted_at >= $2 AND posted_at < $3
   AND ($4::smallint[] IS NULL OR source = ANY ($4::smallint[]))
   AND ($5::timestamptz IS NULL
        OR (posted_at, customer_id, sequence) < ($5::timestamptz, $6::uuid, $7::bigint))
 ORDER BY sequence DESC
 LIMIT $8

-- name: list_entries_of_customers
-- The same for some customers, each asked by itself: $9 uuid[]
SELECT page.*
  FROM unnest($9::uuid[]) AS wanted (customer_id)
 CROSS JOIN LATERAL (
    SELECT e.team_id, e.customer_id, e.sequence, e.partition, e.position, e.source, e.source_id, e.source_name,
           e.delta_balance, e.delta_cumulative, e.requested_balance, e.requested_cumulative, e.balance,
           e.cumulative, e.occurred_at, e.posted_at, e.key, e.actor, e.order_key, e.enrolment_id, e.node_id, e.note,
           e.hash
      FROM points.entry AS e
     WHERE e.team_id = $1 AND e.customer_id = wanted.customer_id AND e.posted_at >= $2 AND e.posted_at < $3
       AND ($4::smallint[] IS NULL OR e.source = ANY ($4::smallint[]))
       AND ($5::timestamptz IS NULL
            OR (e.posted_at, e.customer_id, e.sequence) < ($5::timestamptz, $6::uuid, $7::bigint))
     ORDER BY e.sequence DESC
     LIMIT $8
 ) AS page
 ORDER BY page.posted_at DESC, page.customer_id DESC, page.sequence DESC
 LIMIT $8

-- name: list_entries_by_pattern
-- The same for all customers whose text is LIKE $9, of whom there are many: entries are read by time, and each one's
-- customer is looked at.
SELECT e.team_id, e.customer_id, e.sequence, e.partition, e.position, e.source, e.source_id, e.source_name,
       e.delta_balance, e.delta_cumulative, e.requested_balance, e.requested_cumulative, e.balance,
       e.cumulative, e.occurred_at, e.posted_at, e.key, e.actor, e.order_key, e.enrolment_id, e.node_id, e.note,
       e.hash
  FROM points.entry AS e
 CROSS JOIN LATERAL (
    SELECT 1
      FROM points.customer AS c
     WHERE c.team_id = e.team_id AND c.customer_id = e.customer_id AND c.folded LIKE $9
     LIMIT 1
 ) AS named
 WHERE e.team_id = $1 AND e.posted_at >= $2 AND e.posted_at < $3
   AND ($4::smallint[] IS NULL OR e.source = ANY ($4::smallint[]))
   AND ($5::timestamptz IS NULL
        OR (e.posted_at, e.customer_id, e.sequence) < ($5::timestamptz, $6::uuid, $7::bigint))
 ORDER BY e.posted_at DESC, e.customer_id DESC, e.sequence DESC
 LIMIT $8

-- name: find_customers
-- $1 team, $2 pattern, $3 most customers
SELECT * FROM points.find_customers($1, $2, $3)

-- name: is_named
-- $1 team, $2 customer, $3 pattern
SELECT EXISTS (
    SELECT FROM points.customer WHERE team_id = $1 AND customer_id = $2 AND folded LIKE $3
)

-- name: sum_before
-- Sum of balances before a moment, from the balances now: $1 team, $2 moment
SELECT (coalesce((SELECT sum(balance) FROM points.account WHERE team_id = $1), 0)
        - coalesce((SELECT sum(delta_balance) FROM points.entry WHERE team_id = $1 AND posted_at >= $2), 0))::bigint

-- name: sum_days
-- $1 team, $2 beginnings of days and the end of the last one, ascending; day 1 is the first. Days without entries are
-- missing. Sources as in the domain.
SELECT width_bucket(posted_at, $2::timestamptz[]) AS day,
       coalesce(sum(delta_balance) FILTER (WHERE source = 1), 0)::bigint AS earned,
       coalesce(sum(delta_balance) FILTER (WHERE source = 2), 0)::bigint AS redeemed,
       coalesce(sum(delta_balance) FILTER (WHERE source = 5), 0)::bigint AS refunded,
       coalesce(sum(delta_balance) FILTER (WHERE source = 4), 0)::bigint AS imported,
       coalesce(sum(delta_balance) FILTER (WHERE source = 3), 0)::bigint AS journeys,
       coalesce(sum(delta_balance) FILTER (WHERE source = 6), 0)::bigint AS manual,
       coalesce(sum(delta_balance) FILTER (WHERE source = 7), 0)::bigint AS merged
  FROM points.entry
 WHERE team_id = $1 AND posted_at >= ($2::timestamptz[])[1]
   AND posted_at < ($2::timestamptz[])[array_upper($2::timestamptz[], 1)]
 GROUP BY day
 ORDER BY day

-- name: read_customer_cursors
-- No parameters
SELECT partition, position FROM points.customer_cursor

-- name: move_customer_cursors
-- $1 partitions, $2 positions before, $3 positions after; a row for each that was still at the position before
UPDATE points.customer_cursor AS c
   SET position = moved.after
  FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS moved (partition, before, after)
 WHERE c.partition = moved.partition AND c.position = moved.before
RETURNING c.partition

-- name: write_customers
-- One array a column
INSERT INTO points.customer (team_id, customer_id, name, member_id, email, phone, folded)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
ON CONFLICT (team_id, customer_id) DO UPDATE
   SET name = excluded.name, member_id = excluded.member_id, email = excluded.email, phone = excluded.phone,
       folded = excluded.folded

-- name: delete_customers
-- $1 uuid[] teams, $2 uuid[] customers
DELETE FROM points.customer AS c
 USING unnest($1::uuid[], $2::uuid[]) AS gone (team_id, customer_id)
 WHERE c.team_id = gone.team_id AND c.customer_id = gone.customer_id

-- name: read_names
-- $1 team, $2 uuid[] customers
SELECT c.customer_id, c.name, c.member_id
  FROM unnest($2::uuid[]) AS wanted (customer_id)
 CROSS JOIN LATERAL (
    SELECT customer_id, name, member_id
      FROM points.customer AS r
     WHERE r.team_id = $1 AND r.customer_id = wanted.customer_id
     LIMIT 1
 ) AS c

-- name: entry_page
-- $1 smallint[] partitions, $2 bigint[] after, $3 most rows (migration 0006)
SELECT team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
       delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at, posted_at, key,
       actor, order_key, enrolment_id, node_id, note, hash
  FROM points.entry_page($1, $2, $3)

-- name: check_accounts
-- $1 team, $2 only this customer or null, $3 only those with entries from then on, or null
SELECT customer_id, balance, cumulative, sequence, last_at, last_hash
  FROM points.account
 WHERE team_id = $1 AND ($2::uuid IS NULL OR customer_id = $2) AND ($3::timestamptz IS NULL OR last_at >= $3)
 ORDER BY customer_id

-- name: check_entries
-- $1 team, $2 uuid[] customers, $3 from or null, $4 to (exclusive) or null
SELECT team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
       delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at, posted_at, key,
       actor, order_key, enrolment_id, node_id, note, hash
  FROM points.entry
 WHERE team_id = $1 AND customer_id = ANY ($2::uuid[])
   AND ($3::timestamptz IS NULL OR posted_at >= $3) AND ($4::timestamptz IS NULL OR posted_at < $4)
 ORDER BY customer_id, sequence

-- name: check_bases
-- The last entry before $3 of each customer: $1 team, $2 uuid[] customers
SELECT base.*
  FROM unnest($2::uuid[]) AS wanted (customer_id)
 CROSS JOIN LATERAL (
    SELECT e.customer_id, e.balance, e.cumulative, e.sequence, e.posted_at AS last_at, e.hash AS last_hash
      FROM points.entry AS e
     WHERE e.team_id = $1 AND e.customer_id = wanted.customer_id AND e.posted_at < $3
     ORDER BY e.sequence DESC
     LIMIT 1
 ) AS base

-- name: check_orphan_entries
-- Entries whose customer has no account, the first of each: $1 team, $2 only this customer or null
SELECT e.customer_id, min(e.sequence) AS sequence
  FROM points.entry AS e
 WHERE e.team_id = $1 AND ($2::uuid IS NULL OR e.customer_id = $2)
   AND NOT EXISTS (SELECT FROM points.account AS a WHERE a.team_id = e.team_id AND a.customer_id = e.customer_id)
 GROUP BY e.customer_id
 ORDER BY e.customer_id

-- name: check_outcomes
-- Outcomes with the entry that they tell of: $1 team, $2 only this customer or null, $3 from or null, $4 to (exclusive)
-- or null
SELECT o.team_id, o.key, o.fingerprint, o.customer_id, o.source, o.status, o.reason, o.requested_balance,
       o.delta_balance, o.delta_cumulative, o.shortfall, o.balance, o.cumulative, o.sequence, o.recorded_at,
       e.key AS entry_key, e.source AS entry_source, e.balance AS entry_balance, e.cumulative AS entry_cumulative,
       e.delta_balance AS entry_delta_balance, e.delta_cumulative AS entry_delta_cumulative
  FROM points.outcome AS o
  LEFT JOIN points.entry AS e
    ON e.team_id = o.team_id AND e.customer_id = o.customer_id AND e.sequence = o.sequence
 WHERE o.team_id = $1 AND ($2::uuid IS NULL OR o.customer_id = $2)
   AND ($3::timestamptz IS NULL OR o.recorded_at >= $3) AND ($4::timestamptz IS NULL OR o.recorded_at < $4)
 ORDER BY o.key

-- name: check_entry_keys
-- Entries without a POSTED outcome under their key, and keys with more entries than their source makes (two for a merge):
-- $1 team, $2 only this customer or null, $3 from or null, $4 to (exclusive) or null, $5 since
-- when outcomes are kept
SELECT e.key, min(e.customer_id::text)::uuid AS customer_id, min(e.sequence) AS sequence, count(*) AS entries,
       bool_and(o.key IS NOT NULL) AS recorded
  FROM points.entry AS e
  LEFT JOIN points.outcome AS o ON o.team_id = e.team_id AND o.key = e.key AND o.status = 1
 WHERE e.team_id = $1 AND ($2::uuid IS NULL OR e.customer_id = $2)
   AND ($3::timestamptz IS NULL OR e.posted_at >= $3) AND ($4::timestamptz IS NULL OR e.posted_at < $4)
   AND e.posted_at >= $5
 GROUP BY e.key
HAVING NOT bool_and(o.key IS NOT NULL) OR count(*) > CASE WHEN min(e.source) = 7 THEN 2 ELSE 1 END
 ORDER BY e.key

-- name: check_orders
-- Orders with the sums of their entries: $1 team, $2 only this customer or null, $3 only those of entries from then on, or
-- null
SELECT o.order_key, o.customer_id, o.posted, o.earning, o.amount_micros, o.refunded_micros, o.earned, o.clawed, o.taken,
       coalesce(s.earned, 0)::bigint AS entries_earned, coalesce(s.taken, 0)::bigint AS entries_taken,
       coalesce(s.asked, 0)::bigint AS entries_asked
  FROM points.shop_order AS o
  LEFT JOIN (
    SELECT e.order_key,
           sum(e.delta_balance) FILTER (WHERE e.source = 1) AS earned,
           -sum(e.delta_balance) FILTER (WHERE e.source = 5) AS taken,
           -sum(e.requested_balance) FILTER (WHERE e.source = 5) AS asked
      FROM points.entry AS e
     WHERE e.team_id = $1 AND e.order_key IS NOT NULL
     GROUP BY e.order_key
  ) AS s USING (order_key)
 WHERE o.team_id = $1 AND ($2::uuid IS NULL OR o.customer_id = $2)
   AND ($3::timestamptz IS NULL OR o.order_key IN (
        SELECT recent.order_key FROM points.entry AS recent WHERE recent.team_id = $1 AND recent.posted_at >= $3))
 ORDER BY o.order_key

-- name: check_entries_of_unknown_orders
-- Entries that name an order which is not recorded: $1 team, $2 only this customer or null
SELECT e.order_key, e.customer_id, e.sequence
  FROM points.entry AS e
 WHERE e.team_id = $1 AND e.order_key IS NOT NULL AND ($2::uuid IS NULL OR e.customer_id = $2)
   AND NOT EXISTS (SELECT FROM points.shop_order AS o WHERE o.team_id = e.team_id AND o.order_key = e.order_key)
 ORDER BY e.order_key

-- name: insert_coupon
-- $1 team, $2 coupon, $3 name, $4 type, $5 cost or null, $6 text, $7 claims per customer, $8 claims, $9 start, $10 end or
-- null, $11 time
INSERT INTO points.coupon (team_id, coupon_id, name, type, cost, insufficient_text, claims_per_customer_max, claims_max,
                           start_at, expires_at, claims, archived, version, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, false, 1, $11)

-- name: read_coupon
-- $1 team, $2 coupon
SELECT team_id, coupon_id, name, type, cost, insufficient_text, claims_per_customer_max, claims_max, start_at, expires_at,
       claims, archived, version, created_at
  FROM points.coupon
 WHERE team_id = $1 AND coupon_id = $2

-- name: lock_coupon
-- The same; locked after the account and before orders
SELECT team_id, coupon_id, name, type, cost, insufficient_text, claims_per_customer_max, claims_max, start_at, expires_at,
       claims, archived, version, created_at
  FROM points.coupon
 WHERE team_id = $1 AND coupon_id = $2
   FOR NO KEY UPDATE

-- name: update_coupon
-- The coupon is locked: parameters as insert_coupon, $11 archived
UPDATE points.coupon
   SET name = $3, type = $4, cost = $5, insufficient_text = $6, claims_per_customer_max = $7, claims_max = $8,
       start_at = $9, expires_at = $10, archived = $11, version = version + 1
 WHERE team_id = $1 AND coupon_id = $2

-- name: list_coupons
-- $1 team, $2 archived ones too, $3 and $4 place after which the page goes on or nulls, $5 most rows
SELECT team_id, coupon_id, name, type, cost, insufficient_text, claims_per_customer_max, claims_max, start_at, expires_at,
       claims, archived, version, created_at
  FROM points.coupon
 WHERE team_id = $1 AND (NOT archived OR $2)
   AND ($3::timestamptz IS NULL OR (created_at, coupon_id) < ($3::timestamptz, $4::uuid))
 ORDER BY created_at DESC, coupon_id DESC
 LIMIT $5

-- name: count_claims
-- $1 team, $2 coupon, $3 customer
SELECT count(*) FROM points.coupon_claim WHERE team_id = $1 AND coupon_id = $2 AND customer_id = $3

-- name: insert_claim
-- $1 team, $2 claim, $3 coupon, $4 customer, $5 code, $6 points paid, $7 entry, $8 time, $9 end or null
INSERT INTO points.coupon_claim (team_id, claim_id, coupon_id, customer_id, code, points_paid, sequence, created_at,
                                 expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: count_up_coupon
-- $1 team, $2 coupon; locked
UPDATE points.coupon SET claims = claims + 1 WHERE team_id = $1 AND coupon_id = $2

-- name: read_claim
-- $1 team, $2 claim
SELECT team_id, claim_id, coupon_id, customer_id, code, points_paid, sequence, created_at, expires_at
  FROM points.coupon_claim
 WHERE team_id = $1 AND claim_id = $2

-- name: read_claim_by_code
-- $1 team, $2 code
SELECT team_id, claim_id, coupon_id, customer_id, code, points_paid, sequence, created_at, expires_at
  FROM points.coupon_claim
 WHERE team_id = $1 AND code = $2

-- name: list_claims
-- $1 team, $2 only this coupon or null, $3 only this customer or null, $4 and $5 place or nulls, $6 most rows
SELECT team_id, claim_id, coupon_id, customer_id, code, points_paid, sequence, created_at, expires_at
  FROM points.coupon_claim
 WHERE team_id = $1 AND ($2::uuid IS NULL OR coupon_id = $2) AND ($3::uuid IS NULL OR customer_id = $3)
   AND ($4::timestamptz IS NULL OR (created_at, claim_id) < ($4::timestamptz, $5::uuid))
 ORDER BY created_at DESC, claim_id DESC
 LIMIT $6

-- name: check_claims
-- Paid claims whose entry is missing or another: $1 team, $2 only this customer or null
SELECT c.claim_id, c.customer_id, c.points_paid, c.sequence, e.delta_balance
  FROM points.coupon_claim AS c
  LEFT JOIN points.entry AS e
    ON e.team_id = c.team_id AND e.customer_id = c.customer_id AND e.sequence = c.sequence AND e.key = c.claim_id
 WHERE c.team_id = $1 AND ($2::uuid IS NULL OR c.customer_id = $2)
   AND c.points_paid > 0 AND e.delta_balance IS DISTINCT FROM -c.points_paid
 ORDER BY c.claim_id

-- name: insert_import
-- $1 team, $2 import, $3 file name, $4 hash, $5 deduct cumulative, $6 repeat, $7 actor, $8 time; no row for a file that
-- was imported before
INSERT INTO points.import (team_id, import_id, file_name, file_sha256, deduct_cumulative, repeat, actor, state, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8)
ON CONFLICT (team_id, file_sha256) WHERE NOT repeat AND state <= 4 DO NOTHING
RETURNING true

-- name: read_import_of_file
-- $1 team, $2 hash: the import that keeps the file from being imported once more
SELECT import_id FROM points.import WHERE team_id = $1 AND file_sha256 = $2 AND NOT repeat AND state <= 4

-- name: read_import
-- $1 team, $2 import
SELECT team_id, import_id, file_name, file_sha256, deduct_cumulative, repeat, actor, state, created_at, ended_at
  FROM points.import
 WHERE team_id = $1 AND import_id = $2

-- name: lock_import
-- The same
SELECT team_id, import_id, file_name, file_sha256, deduct_cumulative, repeat, actor, state, created_at, ended_at
  FROM points.import
 WHERE team_id = $1 AND import_id = $2
   FOR NO KEY UPDATE

-- name: list_imports
-- $1 team, $2 and $3 place after which the page goes on or nulls, $4 most rows
SELECT team_id, import_id, file_name, file_sha256, deduct_cumulative, repeat, actor, state, created_at, ended_at
  FROM points.import
 WHERE team_id = $1 AND ($2::timestamptz IS NULL OR (created_at, import_id) < ($2::timestamptz, $3::uuid))
 ORDER BY created_at DESC, import_id DESC
 LIMIT $4

-- name: move_import
-- $1 team, $2 import, $3 state, $4 end or null
UPDATE points.import SET state = $3, ended_at = $4 WHERE team_id = $1 AND import_id = $2

-- name: end_import
-- $1 team, $2 import, $3 state before, $4 state after, $5 end; nothing where another worker was first
UPDATE points.import SET state = $4, ended_at = $5 WHERE team_id = $1 AND import_id = $2 AND state = $3

-- name: count_import_rows
-- $1 team, $2 uuid[] imports
SELECT import_id, count(*) AS total,
       count(*) FILTER (WHERE status = 0) AS waiting,
       count(*) FILTER (WHERE status = 1) AS applied,
       count(*) FILTER (WHERE status = 2) AS unchanged,
       count(*) FILTER (WHERE status = 3) AS invalid,
       count(*) FILTER (WHERE status = 4) AS insufficient,
       count(*) FILTER (WHERE status = 5) AS undone,
       count(*) FILTER (WHERE status = 6) AS not_undone,
       coalesce(sum(delta_balance) FILTER (WHERE status IN (1, 6)), 0)::bigint AS delta_balance
  FROM points.import_row
 WHERE team_id = $1 AND import_id = ANY ($2::uuid[])
 GROUP BY import_id

-- name: insert_import_rows
-- $1 team, $2 import, then one array a column; lines that are there stay as they are
INSERT INTO points.import_row (team_id, import_id, row_number, member_id, email, phone, points_text, customer_id, points,
                               status, fault)
SELECT $1, $2, row.*
  FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::bigint[], $10::smallint[],
              $11::text[]) AS row
ON CONFLICT (team_id, import_id, row_number) DO NOTHING

-- name: delete_import_rows
-- $1 team, $2 import
DELETE FROM points.import_row WHERE team_id = $1 AND import_id = $2

-- name: read_import_rows
-- $1 team, $2 import, $3 bigint[] lines
SELECT row_number, member_id, email, phone, points_text, customer_id, fault
  FROM points.import_row
 WHERE team_id = $1 AND import_id = $2 AND row_number = ANY ($3::bigint[])

-- name: next_import_rows
-- The next rows to be handled: $1 team, $2 import, $3 status, $4 most rows
SELECT row_number, customer_id, points, delta_balance, delta_cumulative
  FROM points.import_row
 WHERE team_id = $1 AND import_id = $2 AND status = $3
 ORDER BY row_number
 LIMIT $4

-- name: list_import_rows
-- $1 team, $2 import, $3 smallint[] statuses or null, $4 line after which the page goes on, $5 most rows
SELECT row_number, member_id, email, phone, points_text, customer_id, points, status, fault, delta_balance,
       delta_cumulative, cumulative_cut, balance, sequence, undo_sequence,
       r.customer_id IS NOT NULL AND EXISTS (
           SELECT FROM points.import_row AS other
            WHERE other.team_id = $1 AND other.import_id = $2 AND other.customer_id = r.customer_id
              AND other.row_number <> r.row_number
       ) AS repeated_customer
  FROM points.import_row AS r
 WHERE team_id = $1 AND import_id = $2 AND row_number > $4
   AND ($3::smallint[] IS NULL OR status = ANY ($3::smallint[]))
 ORDER BY row_number
 LIMIT $5

-- name: settle_import_rows
-- $1 team, $2 import, $3 bigint[] lines, then one array a column. Only rows that wait: a worker that comes late changes
-- nothing.
UPDATE points.import_row AS r
   SET status = told.status, fault = told.fault, delta_balance = told.delta_balance,
       delta_cumulative = told.delta_cumulative, cumulative_cut = told.cumulative_cut, balance = told.balance,
       sequence = told.sequence
  FROM unnest($3::bigint[], $4::smallint[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
              $10::bigint[])
       AS told (row_number, status, fault, delta_balance, delta_cumulative, cumulative_cut, balance, sequence)
 WHERE r.team_id = $1 AND r.import_id = $2 AND r.row_number = told.row_number AND r.status = 0

-- name: take_back_import_rows
-- $1 team, $2 import, $3 bigint[] lines, $4 statuses, $5 entries (0 for none). What the row changed stays to be read.
UPDATE points.import_row AS r
   SET status = told.status, undo_sequence = told.sequence
  FROM unnest($3::bigint[], $4::smallint[], $5::bigint[]) AS told (row_number, status, sequence)
 WHERE r.team_id = $1 AND r.import_id = $2 AND r.row_number = told.row_number AND r.status = 1

-- name: unfinished_imports
-- No parameters
SELECT team_id, import_id FROM points.unfinished_imports()

-- name: drop_outcomes
-- $1 recorded before, $2 most rows
SELECT points.drop_outcomes($1, $2)

-- name: read_last_check
-- $1 team
SELECT checked_at FROM points.ledger_check WHERE team_id = $1

-- name: write_last_check
-- $1 team, $2 time; never back
INSERT INTO points.ledger_check (team_id, checked_at) VALUES ($1, $2)
ON CONFLICT (team_id) DO UPDATE SET checked_at = greatest(ledger_check.checked_at, excluded.checked_at)

-- name: check_history
-- No parameters
SELECT partition, detail FROM points.history_faults() ORDER BY partition

-- name: check_guards
-- Triggers that should keep rows from being changed and do not stand: name of each and its table. Bits of tgtype: 8 delete,
-- 16 update, 32 truncate.
SELECT guard.table_name, guard.trigger_name
  FROM (VALUES ('entry', 'append_only', 56), ('formula', 'append_only', 56), ('coupon_claim', 'append_only', 56),
               ('outcome', 'append_only', 48), ('outcome', 'kept', 8)) AS guard (table_name, trigger_name, events)
 WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_trigger AS t
     WHERE t.tgrelid = ('points.' || guard.table_name)::regclass AND t.tgname = guard.trigger_name
       AND t.tgenabled IN ('O', 'A') AND t.tgtype & guard.events = guard.events
 )

-- name: check_import_rows
-- Rows of imports that disagree with the ledger or with their import: $1 team, $2 only this customer or null
SELECT r.customer_id, r.sequence, r.import_id, r.row_number, r.status
  FROM points.import_row AS r
  JOIN points.import AS i ON i.team_id = r.team_id AND i.import_id = r.import_id
  LEFT JOIN points.entry AS e
    ON e.team_id = r.team_id AND e.customer_id = r.customer_id AND e.sequence = r.sequence
   AND e.source = 4 AND e.source_id = r.import_id::text AND e.note = ''
  LEFT JOIN points.entry AS u
    ON u.team_id = r.team_id AND u.customer_id = r.customer_id AND u.sequence = r.undo_sequence
   AND u.source = 4 AND u.source_id = r.import_id::text AND u.note = 'undo'
 WHERE r.team_id = $1 AND ($2::uuid IS NULL OR r.customer_id = $2)
   AND (r.status IN (1, 5, 6) AND (e.delta_balance, e.delta_cumulative) IS DISTINCT FROM (r.delta_balance, r.delta_cumulative)
        OR r.status IN (0, 2, 3, 4) AND (r.sequence, r.delta_balance, r.delta_cumulative) <> (0, 0, 0)
        OR (r.status = 5) <> (r.undo_sequence > 0)
        OR r.status = 5 AND u.delta_balance IS DISTINCT FROM -r.delta_balance
        OR r.status = 0 AND i.state IN (3, 4, 5)
        OR r.status = 1 AND i.state = 5)
 ORDER BY r.import_id, r.row_number

-- name: check_import_entries
-- Entries of an import that no row of it tells of: $1 team, $2 only this customer or null
SELECT e.customer_id, e.sequence, e.key
  FROM points.entry AS e
  JOIN points.import AS i ON i.team_id = e.team_id AND i.import_id::text = e.source_id
 WHERE e.team_id = $1 AND e.source = 4 AND ($2::uuid IS NULL OR e.customer_id = $2)
   AND NOT EXISTS (
       SELECT FROM points.import_row AS r
        WHERE r.team_id = e.team_id AND r.import_id = i.import_id AND r.customer_id = e.customer_id
          AND e.sequence IN (r.sequence, r.undo_sequence)
   )
 ORDER BY e.customer_id, e.sequence
