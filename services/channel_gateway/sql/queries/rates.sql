-- name: share_rates
SELECT place, version, share, recipients, left_s
  FROM share_rates_v2(:sender, :teams, :account_ids, :weights, :held, :length, :told_places, :told_recipients, :told_s, :hold_max)
