-- What the checker reads. A customer or a bound that is null takes all; the end is exclusive.

-- name: check_accounts
-- `changed_since`: only those with entries from then on.
SELECT customer_id, balance, cumulative, sequence, last_at, last_hash
  FROM points.account
 WHERE team_id = :team_id AND (:customer_id::uuid IS NULL OR customer_id = :customer_id)
   AND (:changed_since::timestamptz IS NULL OR last_at >= :changed_since)
 ORDER BY customer_id

-- name: check_entries
-- `has_key`: the entry tells the outcome of its key.
SELECT team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
       delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at, posted_at, key,
       actor, order_key, enrolment_id, node_id, note, hash, fingerprint IS NOT NULL AS has_key
  FROM points.entry
 WHERE team_id = :team_id AND customer_id = ANY (:customers::uuid[])
   AND (:start_at::timestamptz IS NULL OR posted_at >= :start_at)
   AND (:end_at::timestamptz IS NULL OR posted_at < :end_at)
 ORDER BY customer_id, sequence

-- name: check_bases
-- The last entry before a moment of each customer.
SELECT base.*
  FROM unnest(:customers::uuid[]) AS wanted (customer_id)
 CROSS JOIN LATERAL (
    SELECT e.customer_id, e.balance, e.cumulative, e.sequence, e.posted_at AS last_at, e.hash AS last_hash
      FROM points.entry AS e
     WHERE e.team_id = :team_id AND e.customer_id = wanted.customer_id AND e.posted_at < :moment
     ORDER BY e.sequence DESC
     LIMIT 1
 ) AS base

-- name: check_orphan_entries
-- Entries whose customer has no account, the first of each.
SELECT e.customer_id, min(e.sequence) AS sequence
  FROM points.entry AS e
 WHERE e.team_id = :team_id AND (:customer_id::uuid IS NULL OR e.customer_id = :customer_id)
   AND NOT EXISTS (SELECT FROM points.account AS a WHERE a.team_id = e.team_id AND a.customer_id = e.customer_id)
 GROUP BY e.customer_id
 ORDER BY e.customer_id

-- name: check_outcomes
-- Outcomes with the entry that they name.
SELECT o.team_id, o.key, o.fingerprint, o.customer_id, o.source, o.status, o.reason, o.requested_balance,
       o.delta_balance, o.delta_cumulative, o.shortfall, o.balance, o.cumulative, o.sequence, o.recorded_at,
       e.key AS entry_key, e.source AS entry_source, e.balance AS entry_balance, e.cumulative AS entry_cumulative,
       e.delta_balance AS entry_delta_balance, e.delta_cumulative AS entry_delta_cumulative
  FROM points.outcome AS o
  LEFT JOIN points.entry AS e
    ON e.team_id = o.team_id AND e.customer_id = o.customer_id AND e.sequence = o.sequence
 WHERE o.team_id = :team_id AND (:customer_id::uuid IS NULL OR o.customer_id = :customer_id)
   AND (:start_at::timestamptz IS NULL OR o.recorded_at >= :start_at)
   AND (:end_at::timestamptz IS NULL OR o.recorded_at < :end_at)
 ORDER BY o.key

-- name: check_entry_keys
-- Entries whose key is recorded nowhere: neither an entry of the key has the fingerprint, nor is there a POSTED outcome; keys
-- with more entries than their source makes (two for a merge); and keys that are recorded in both places.
-- `kept_since`: outcomes recorded before may have been dropped.
SELECT e.key, min(e.customer_id::text)::uuid AS customer_id, min(e.sequence) AS sequence, count(*) AS entries,
       bool_and(own.has_key OR coalesce(o.posted, false)) AS recorded, bool_or(own.has_key AND o.posted IS NOT NULL) AS twice
  FROM points.entry AS e
  LEFT JOIN LATERAL (
    SELECT r.status = outcome_status('POSTED') AS posted FROM points.outcome AS r
     WHERE r.team_id = e.team_id AND r.key = e.key LIMIT 1
  ) AS o ON true
 CROSS JOIN LATERAL (
    SELECT e.fingerprint IS NOT NULL
           -- The other entry of a merge.
           OR e.source = entry_source('MERGE') AND (
               SELECT true FROM points.entry AS m
                WHERE m.team_id = e.team_id AND m.key = e.key AND m.fingerprint IS NOT NULL LIMIT 1
           ) IS NOT NULL
 ) AS own (has_key)
 WHERE e.team_id = :team_id AND (:customer_id::uuid IS NULL OR e.customer_id = :customer_id)
   AND (:start_at::timestamptz IS NULL OR e.posted_at >= :start_at)
   AND (:end_at::timestamptz IS NULL OR e.posted_at < :end_at)
   AND (e.posted_at >= :kept_since OR e.fingerprint IS NOT NULL)
 GROUP BY e.key
HAVING NOT bool_and(own.has_key OR coalesce(o.posted, false)) OR bool_or(own.has_key AND o.posted IS NOT NULL)
    OR count(*) > CASE WHEN min(e.source) = entry_source('MERGE') THEN 2 ELSE 1 END
 ORDER BY e.key

-- name: check_orders
-- Orders with the sums of their entries. `changed_since`: only those with entries from then on.
SELECT o.order_key, o.customer_id, o.posted, o.earning, o.amount_micros, o.refunded_micros, o.earned, o.clawed, o.taken,
       coalesce(s.earned, 0)::bigint AS entries_earned, coalesce(s.taken, 0)::bigint AS entries_taken,
       coalesce(s.asked, 0)::bigint AS entries_asked
  FROM points.shop_order AS o
  LEFT JOIN (
    SELECT e.order_key,
           sum(e.delta_balance) FILTER (WHERE e.source = entry_source('WEB_ORDER')) AS earned,
           -sum(e.delta_balance) FILTER (WHERE e.source = entry_source('REFUND')) AS taken,
           -sum(e.requested_balance) FILTER (WHERE e.source = entry_source('REFUND')) AS asked
      FROM points.entry AS e
     WHERE e.team_id = :team_id AND e.order_key IS NOT NULL
     GROUP BY e.order_key
  ) AS s USING (order_key)
 WHERE o.team_id = :team_id AND (:customer_id::uuid IS NULL OR o.customer_id = :customer_id)
   AND (:changed_since::timestamptz IS NULL OR o.order_key IN (
        SELECT recent.order_key FROM points.entry AS recent
         WHERE recent.team_id = :team_id AND recent.posted_at >= :changed_since))
 ORDER BY o.order_key

-- name: check_entries_of_unknown_orders
-- Entries that name an order which is not recorded.
SELECT e.order_key, e.customer_id, e.sequence
  FROM points.entry AS e
 WHERE e.team_id = :team_id AND e.order_key IS NOT NULL AND (:customer_id::uuid IS NULL OR e.customer_id = :customer_id)
   AND NOT EXISTS (SELECT FROM points.shop_order AS o WHERE o.team_id = e.team_id AND o.order_key = e.order_key)
 ORDER BY e.order_key

-- name: check_claims
-- Paid claims whose entry is missing or another.
SELECT c.claim_id, c.customer_id, c.points_paid, c.sequence, e.delta_balance
  FROM points.coupon_claim AS c
  LEFT JOIN points.entry AS e
    ON e.team_id = c.team_id AND e.customer_id = c.customer_id AND e.sequence = c.sequence AND e.key = c.claim_id
 WHERE c.team_id = :team_id AND (:customer_id::uuid IS NULL OR c.customer_id = :customer_id)
   AND c.points_paid > 0 AND e.delta_balance IS DISTINCT FROM -c.points_paid
 ORDER BY c.claim_id

-- name: check_history
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
-- Rows of imports that disagree with the ledger or with their import. Statuses, states and sources as in the domain.
SELECT r.customer_id, r.sequence, r.import_id, r.row_number, r.status
  FROM points.import_row AS r
  JOIN points.import AS i ON i.team_id = r.team_id AND i.import_id = r.import_id
  LEFT JOIN points.entry AS e
    ON e.team_id = r.team_id AND e.customer_id = r.customer_id AND e.sequence = r.sequence
   AND e.source = entry_source('IMPORT') AND e.source_id = r.import_id::text AND e.note = ''
  LEFT JOIN points.entry AS u
    ON u.team_id = r.team_id AND u.customer_id = r.customer_id AND u.sequence = r.undo_sequence
   AND u.source = entry_source('IMPORT') AND u.source_id = r.import_id::text AND u.note = 'undo'
 WHERE r.team_id = :team_id AND (:customer_id::uuid IS NULL OR r.customer_id = :customer_id)
   AND (r.status IN (row_status('APPLIED'), row_status('UNDONE'), row_status('NOT_UNDONE'))
            AND (e.delta_balance, e.delta_cumulative) IS DISTINCT FROM (r.delta_balance, r.delta_cumulative)
        OR r.status IN (row_status('WAITING'), row_status('UNCHANGED'), row_status('INVALID'), row_status('INSUFFICIENT'))
            AND (r.sequence, r.delta_balance, r.delta_cumulative) <> (0, 0, 0)
        OR (r.status = row_status('UNDONE')) <> (r.undo_sequence > 0)
        OR r.status = row_status('UNDONE') AND u.delta_balance IS DISTINCT FROM -r.delta_balance
        OR r.status = row_status('WAITING') AND i.state IN (import_state('DONE'), import_state('UNDOING'), import_state('UNDONE'))
        OR r.status = row_status('APPLIED') AND i.state = import_state('UNDONE'))
 ORDER BY r.import_id, r.row_number

-- name: check_import_entries
-- Entries of an import that no row of it has.
SELECT e.customer_id, e.sequence, e.key
  FROM points.entry AS e
  JOIN points.import AS i ON i.team_id = e.team_id AND i.import_id::text = e.source_id
 WHERE e.team_id = :team_id AND e.source = entry_source('IMPORT')
   AND (:customer_id::uuid IS NULL OR e.customer_id = :customer_id)
   AND NOT EXISTS (
       SELECT FROM points.import_row AS r
        WHERE r.team_id = e.team_id AND r.import_id = i.import_id AND r.customer_id = e.customer_id
          AND e.sequence IN (r.sequence, r.undo_sequence)
   )
 ORDER BY e.customer_id, e.sequence

-- name: read_last_check
SELECT checked_at FROM points.ledger_check WHERE team_id = :team_id

-- name: write_last_check
-- Never moves back.
INSERT INTO points.ledger_check (team_id, checked_at) VALUES (:team_id, :checked_at)
ON CONFLICT (team_id) DO UPDATE SET checked_at = greatest(ledger_check.checked_at, excluded.checked_at)
