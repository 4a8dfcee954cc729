-- name: share_rates
SELECT place, version, share FROM share_rates(:sender, :teams, :account_ids, :weights, :held, :length)
