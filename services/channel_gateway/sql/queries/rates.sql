-- name: share_rates
SELECT place, version, share, recipients, left_s
  FROM share_rates_v2(:sender, :teams, :account_ids, :weights, :held, :length, :new_places, :new_recipients, :new_s, :hold_max)
