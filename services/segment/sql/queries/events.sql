-- Batches of events.

-- name: load_event_context
-- Rows of the types that the function takes, or null. `unsure_count` null: lock nobody.
SELECT * FROM load_event_context_v3(
    :teams, :keys, :orders, :refunds, :members, :phones, :emails, :tokens, :identities, :customers, :unsure_count,
    :creating)

-- name: record_usual
-- A transaction of its own; `rows` in the order of teams and customers.
SELECT places, numbers, positions, names, member_ids, phones, emails
  FROM record_usual_v2(:teams, :now, :rows, :with_identities, :with_orders)

-- name: record_touches
-- A transaction of its own; `keys` in the order of teams and customers.
SELECT record_touches(:teams, :now, :keys, :customer_interact_times, :team_interact_times)

-- name: find_usual
-- A transaction of its own.
SELECT customers, have_phones, are_known FROM find_usual(:teams, :hints)
