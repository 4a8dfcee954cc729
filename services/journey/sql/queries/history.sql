-- The history that other services read.

-- name: append_history
SELECT append_history(:facts);
