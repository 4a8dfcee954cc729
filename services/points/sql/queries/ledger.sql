-- Posting, formulas and figures.
--
-- Every statement of points runs inside a transaction that is bound to the teams it concerns, so that row-level security
-- holds teams apart even where a statement names no team.
--
-- Rows are looked up by LATERAL, one index probe for each, and changed by ON CONFLICT: to a plain join the planner prefers
-- reading all rows of the team, since the policy's condition is an index condition too and looks cheap while tables are
-- small.

-- name: read_formulas
SELECT team_id, amount_micros, points_micros, created_at
  FROM points.formula
 WHERE team_id = ANY (:teams::uuid[])

-- name: insert_formula
-- Once a team: a formula that is there stays.
INSERT INTO points.formula (team_id, amount_micros, points_micros, created_at)
VALUES (:team_id, :amount_micros, :points_micros, :created_at)
ON CONFLICT (team_id) DO NOTHING

-- name: load_batch
-- Parameters are filled up, as the function says.
SELECT account, outcome, shop_order, formula
  FROM points.load_batch_v2(:teams, :account_teams, :customers, :key_teams, :keys, :order_teams, :order_keys, :formula_teams)

-- name: lock_accounts
-- `teams`: one element where all accounts are of one team. Each pair once.
SELECT points.lock_accounts(:teams, :customers)

-- name: write_batch
SELECT points.write_batch_v2(:teams, :recorded_at, :account_count, :partitions, :entries, :outcomes, :orders)

-- name: post_adds
SELECT sequences, balances, cumulatives FROM points.post_adds(:teams, :recorded_at, :figure_max, :partitions, :adds)

-- name: post_add
-- The same of one.
SELECT sequence, balance, cumulative FROM points.post_add(:teams, :recorded_at, :figure_max, :partition, :posted)

-- name: read_outcome
SELECT team_id, key, fingerprint, customer_id, source, status, reason, requested_balance, delta_balance, delta_cumulative,
       shortfall, balance, cumulative, sequence, recorded_at
  FROM points.outcome
 WHERE team_id = :team_id AND key = :key
 UNION ALL
SELECT o.team_id, o.key, o.fingerprint, o.customer_id, o.source, o.status, o.reason, o.requested_balance, o.delta_balance,
       o.delta_cumulative, o.shortfall, o.balance, o.cumulative, o.sequence, o.recorded_at
  FROM points.entry AS e
 CROSS JOIN LATERAL points.posted_outcome(e) AS o
 WHERE e.team_id = :team_id AND e.key = :key AND e.fingerprint IS NOT NULL

-- name: read_balances
-- Customers without an account are missing.
SELECT a.*
  FROM unnest(:teams::uuid[], :customers::uuid[]) AS wanted (team_id, customer_id)
 CROSS JOIN LATERAL (
    SELECT team_id, customer_id, balance, cumulative, sequence
      FROM points.account AS a
     WHERE a.team_id = wanted.team_id AND a.customer_id = wanted.customer_id
     LIMIT 1
 ) AS a

-- name: read_balance_at
-- Posting times grow with the sequence: the last entry up to the moment holds the figures.
SELECT balance, cumulative, sequence
  FROM points.entry
 WHERE team_id = :team_id AND customer_id = :customer_id AND posted_at <= :moment
 ORDER BY sequence DESC
 LIMIT 1

-- name: sum_entries
-- Sources as in the domain.
SELECT count(*) AS entries,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('WEB_ORDER')), 0)::bigint AS earned,
       coalesce(-sum(delta_balance) FILTER (WHERE source = entry_source('REFUND')), 0)::bigint AS refunded,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('JOURNEY') AND delta_balance > 0), 0)::bigint
           AS journey_added,
       coalesce(-sum(delta_balance) FILTER (WHERE source = entry_source('JOURNEY') AND delta_balance < 0), 0)::bigint
           AS journey_deducted,
       coalesce(-sum(delta_balance) FILTER (WHERE source = entry_source('COUPON_REDEMPTION')), 0)::bigint AS redeemed,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('IMPORT')), 0)::bigint AS imported,
       coalesce(sum(delta_balance) FILTER (WHERE source = entry_source('MANUAL')), 0)::bigint AS manual,
       coalesce(sum(delta_balance), 0)::bigint AS balance,
       coalesce(sum(delta_cumulative), 0)::bigint AS cumulative
  FROM points.entry
 WHERE team_id = :team_id

-- name: sum_outcomes
-- Those that were dropped count on, and those that entries tell. Sources and statuses as in the domain.
SELECT (kept.refund_shortfall + kept_in_entries.refund_shortfall + coalesce(dropped.refund_shortfall, 0))::bigint AS refund_shortfall,
       kept.rejected + coalesce(dropped.rejected, 0) AS rejected,
       kept.skipped + coalesce(dropped.skipped, 0) AS skipped
  FROM (
    SELECT coalesce(sum(shortfall) FILTER (WHERE source = entry_source('REFUND')), 0) AS refund_shortfall,
           count(*) FILTER (WHERE status = outcome_status('REJECTED')) AS rejected,
           count(*) FILTER (WHERE status = outcome_status('SKIPPED')) AS skipped
      FROM points.outcome
     WHERE team_id = :team_id
  ) AS kept
 CROSS JOIN (
    SELECT coalesce(sum(delta_balance - requested_balance), 0) AS refund_shortfall
      FROM points.entry
     WHERE team_id = :team_id AND source = entry_source('REFUND') AND fingerprint IS NOT NULL
  ) AS kept_in_entries
  LEFT JOIN points.dropped_outcome AS dropped ON dropped.team_id = :team_id

-- name: count_accounts
SELECT count(*) FROM points.account WHERE team_id = :team_id
