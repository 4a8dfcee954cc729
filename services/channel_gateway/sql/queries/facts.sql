-- name: append_records
-- The positions that they take.
SELECT positions FROM append_records(:records)
