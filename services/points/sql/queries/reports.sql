-- The history report, daily statements and the feed.

-- name: list_entries
-- Sources that are null take all. `after_*`: where the page before ended, nulls on the first page.
SELECT team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
       delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at, posted_at, key,
       actor, order_key, enrolment_id, node_id, note, hash
  FROM points.entry
 WHERE team_id = :team_id AND posted_at >= :start_at AND posted_at < :end_at
   AND (:sources::smallint[] IS NULL OR source = ANY (:sources::smallint[]))
   AND (:after_posted_at::timestamptz IS NULL
        OR (posted_at, customer_id, sequence)
           < (:after_posted_at::timestamptz, :after_customer_id::uuid, :after_sequence::bigint))
 ORDER BY posted_at DESC, customer_id DESC, sequence DESC
 LIMIT :row_max

-- name: list_customer_entries
-- The same for one customer.
SELECT team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
       delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at, posted_at, key,
       actor, order_key, enrolment_id, node_id, note, hash
  FROM points.entry
 WHERE team_id = :team_id AND customer_id = :customer_id AND posted_at >= :start_at AND posted_at < :end_at
   AND (:sources::smallint[] IS NULL OR source = ANY (:sources::smallint[]))
   AND (:after_posted_at::timestamptz IS NULL
        OR (posted_at, customer_id, sequence)
           < (:after_posted_at::timestamptz, :after_customer_id::uuid, :after_sequence::bigint))
 ORDER BY sequence DESC
 LIMIT :row_max

-- name: list_entries_of_customers
-- The same for some customers, each asked by itself.
SELECT page.*
  FROM unnest(:customers::uuid[]) AS wanted (customer_id)
 CROSS JOIN LATERAL (
    SELECT e.team_id, e.customer_id, e.sequence, e.partition, e.position, e.source, e.source_id, e.source_name,
           e.delta_balance, e.delta_cumulative, e.requested_balance, e.requested_cumulative, e.balance,
           e.cumulative, e.occurred_at, e.posted_at, e.key, e.actor, e.order_key, e.enrolment_id, e.node_id, e.note,
           e.hash
      FROM points.entry AS e
     WHERE e.team_id = :team_id AND e.customer_id = wanted.customer_id AND e.posted_at >= :start_at AND e.posted_at < :end_at
       AND (:sources::smallint[] IS NULL OR e.source = ANY (:sources::smallint[]))
       AND (:after_posted_at::timestamptz IS NULL
            OR (e.posted_at, e.customer_id, e.sequence)
               < (:after_posted_at::timestamptz, :after_customer_id::uuid, :after_sequence::bigint))
     ORDER BY e.sequence DESC
     LIMIT :row_max
 ) AS page
 ORDER BY page.posted_at DESC, page.customer_id DESC, page.sequence DESC
 LIMIT :row_max

-- name: list_entries_by_pattern
-- The same for all customers whose text is LIKE a pattern, of whom there are many: entries are read by time, and each
-- one's customer is looked at.
SELECT e.team_id, e.customer_id, e.sequence, e.partition, e.position, e.source, e.source_id, e.source_name,
       e.delta_balance, e.delta_cumulative, e.requested_balance, e.requested_cumulative, e.balance,
       e.cumulative, e.occurred_at, e.posted_at, e.key, e.actor, e.order_key, e.enrolment_id, e.node_id, e.note,
       e.hash
  FROM points.entry AS e
 CROSS JOIN LATERAL (
    SELECT 1
      FROM points.customer AS c
     WHERE c.team_id = e.team_id AND c.customer_id = e.customer_id AND c.folded LIKE :pattern
     LIMIT 1
 ) AS named
 WHERE e.team_id = :team_id AND e.posted_at >= :start_at AND e.posted_at < :end_at
   AND (:sources::smallint[] IS NULL OR e.source = ANY (:sources::smallint[]))
   AND (:after_posted_at::timestamptz IS NULL
        OR (e.posted_at, e.customer_id, e.sequence)
           < (:after_posted_at::timestamptz, :after_customer_id::uuid, :after_sequence::bigint))
 ORDER BY e.posted_at DESC, e.customer_id DESC, e.sequence DESC
 LIMIT :row_max

-- name: list_point_changes
-- Figures of some customers, and what has changed them since a moment, up to `row_max` of each, the newest; nulls where
-- nothing did. One without an account is missing. `place` counts from 1.
SELECT wanted.place, a.balance, a.cumulative, e.occurred_at, e.delta_balance, e.delta_cumulative, e.source, e.source_id
  FROM unnest(:customers::uuid[]) WITH ORDINALITY AS wanted (customer_id, place)
 CROSS JOIN LATERAL (
    SELECT balance, cumulative FROM points.account
     WHERE team_id = :team_id AND customer_id = wanted.customer_id
     LIMIT 1
 ) AS a
  LEFT JOIN LATERAL (
    SELECT sequence, occurred_at, delta_balance, delta_cumulative, source, source_id
      FROM points.entry
     WHERE team_id = :team_id AND customer_id = wanted.customer_id AND posted_at >= :start_at
     ORDER BY sequence DESC
     LIMIT :row_max
 ) AS e ON true
 ORDER BY wanted.place, e.sequence

-- name: sum_before
-- Sum of balances before a moment, from the balances now.
SELECT (coalesce((SELECT sum(balance) FROM points.account WHERE team_id = :team_id), 0)
        - coalesce((SELECT sum(delta_balance) FROM points.entry WHERE team_id = :team_id AND posted_at >= :moment), 0))::bigint

-- name: sum_days
-- `beginnings` of days and the end of the last one, ascending; day 1 is the first. Days without entries are missing.
-- Sources as in the domain.
SELECT width_bucket(posted_at, :beginnings::timestamptz[]) AS day,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('WEB_ORDER')), 0)::bigint AS earned,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('COUPON_REDEMPTION')), 0)::bigint AS redeemed,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('REFUND')), 0)::bigint AS refunded,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('IMPORT')), 0)::bigint AS imported,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('JOURNEY')), 0)::bigint AS journeys,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('MANUAL')), 0)::bigint AS manual,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('MERGE')), 0)::bigint AS merged
  FROM points.entry
 WHERE team_id = :team_id AND posted_at >= (:beginnings::timestamptz[])[1]
   AND posted_at < (:beginnings::timestamptz[])[array_upper(:beginnings::timestamptz[], 1)]
 GROUP BY day
 ORDER BY day

-- name: entry_page
-- Entries of all teams after the positions, at most `row_max`. Columns in the order of `libs.common.feeds.rows.EntryRow`; ids as
-- bytes, which cost the driver less than half.
SELECT partition, position, uuid_send(team_id) AS team, uuid_send(customer_id) AS customer, posted_at, source, delta_balance,
       delta_cumulative, requested_balance
  FROM points.entry_page(:partitions, :positions, :row_max)
