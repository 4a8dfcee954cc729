-- How long recorded outcomes are kept. Posting writes them: ledger.sql.

-- name: drop_outcomes
SELECT points.drop_outcomes(:recorded_before, :row_max)
