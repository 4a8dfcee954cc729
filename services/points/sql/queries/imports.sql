-- Imports and their rows. States and statuses as in the domain.

-- name: insert_import
-- No row for a file that was imported before.
INSERT INTO points.import (team_id, import_id, file_name, file_sha256, deduct_cumulative, repeat, actor, state, created_at)
VALUES (:team_id, :import_id, :file_name, :file_sha256, :deduct_cumulative, :repeat, :actor, 1, :created_at)
ON CONFLICT (team_id, file_sha256) WHERE NOT repeat AND state <= import_state('UNDOING') DO NOTHING
RETURNING true

-- name: read_import_of_file
-- The import that keeps the file from being imported once more.
SELECT import_id FROM points.import
 WHERE team_id = :team_id AND file_sha256 = :file_sha256 AND NOT repeat AND state <= import_state('UNDOING')

-- name: read_import
SELECT team_id, import_id, file_name, file_sha256, deduct_cumulative, repeat, actor, state, created_at, ended_at
  FROM points.import
 WHERE team_id = :team_id AND import_id = :import_id

-- name: lock_import
SELECT team_id, import_id, file_name, file_sha256, deduct_cumulative, repeat, actor, state, created_at, ended_at
  FROM points.import
 WHERE team_id = :team_id AND import_id = :import_id
   FOR NO KEY UPDATE

-- name: list_imports
-- `after_*`: where the page before ended, nulls on the first page.
SELECT team_id, import_id, file_name, file_sha256, deduct_cumulative, repeat, actor, state, created_at, ended_at
  FROM points.import
 WHERE team_id = :team_id
   AND (:after_created_at::timestamptz IS NULL
        OR (created_at, import_id) < (:after_created_at::timestamptz, :after_import_id::uuid))
 ORDER BY created_at DESC, import_id DESC
 LIMIT :row_max

-- name: move_import
UPDATE points.import SET state = :state, ended_at = :ended_at WHERE team_id = :team_id AND import_id = :import_id

-- name: end_import
-- Nothing where another worker was first.
UPDATE points.import SET state = :state_after, ended_at = :ended_at
 WHERE team_id = :team_id AND import_id = :import_id AND state = :state_before

-- name: count_import_rows
SELECT import_id, count(*) AS total,
       count(*) FILTER (WHERE status = row_status('WAITING')) AS waiting,
       count(*) FILTER (WHERE status = row_status('APPLIED')) AS applied,
       count(*) FILTER (WHERE status = row_status('UNCHANGED')) AS unchanged,
       count(*) FILTER (WHERE status = row_status('INVALID')) AS invalid,
       count(*) FILTER (WHERE status = row_status('INSUFFICIENT')) AS insufficient,
       count(*) FILTER (WHERE status = row_status('UNDONE')) AS undone,
       count(*) FILTER (WHERE status = row_status('NOT_UNDONE')) AS not_undone,
       coalesce(sum(delta_balance) FILTER (WHERE status IN (row_status('APPLIED'), row_status('NOT_UNDONE'))), 0)::bigint
           AS delta_balance
  FROM points.import_row
 WHERE team_id = :team_id AND import_id = ANY (:imports::uuid[])
 GROUP BY import_id

-- name: insert_import_rows
-- Lines that are there stay as they are.
INSERT INTO points.import_row (team_id, import_id, row_number, member_id, email, phone, points_text, customer_id, points,
                               status, fault)
SELECT :team_id, :import_id, input.* FROM unnest(:rows::points.import_input_row[]) AS input
ON CONFLICT (team_id, import_id, row_number) DO NOTHING

-- name: delete_import_rows
DELETE FROM points.import_row WHERE team_id = :team_id AND import_id = :import_id

-- name: read_import_rows
SELECT row_number, member_id, email, phone, points_text, customer_id, fault
  FROM points.import_row
 WHERE team_id = :team_id AND import_id = :import_id AND row_number = ANY (:row_numbers::bigint[])

-- name: next_import_rows
SELECT row_number, customer_id, points, delta_balance, delta_cumulative
  FROM points.import_row
 WHERE team_id = :team_id AND import_id = :import_id AND status = :status
 ORDER BY row_number
 LIMIT :row_max

-- name: last_import_rows
-- From the last one on: what a row took back of an earlier one is given again first.
SELECT row_number, customer_id, points, delta_balance, delta_cumulative
  FROM points.import_row
 WHERE team_id = :team_id AND import_id = :import_id AND status = :status
 ORDER BY row_number DESC
 LIMIT :row_max

-- name: list_import_rows
-- Statuses that are null take all.
SELECT row_number, member_id, email, phone, points_text, customer_id, points, status, fault, delta_balance,
       delta_cumulative, cumulative_cut, balance, sequence, undo_sequence,
       r.customer_id IS NOT NULL AND EXISTS (
           SELECT FROM points.import_row AS other
            WHERE other.team_id = :team_id AND other.import_id = :import_id AND other.customer_id = r.customer_id
              AND other.row_number <> r.row_number
       ) AS repeated_customer
  FROM points.import_row AS r
 WHERE team_id = :team_id AND import_id = :import_id AND row_number > :after_row_number
   AND (:statuses::smallint[] IS NULL OR status = ANY (:statuses::smallint[]))
 ORDER BY row_number
 LIMIT :row_max

-- name: settle_import_rows
-- Only rows that wait: a worker that comes late changes nothing.
UPDATE points.import_row AS r
   SET status = input.status, fault = input.fault, delta_balance = input.delta_balance,
       delta_cumulative = input.delta_cumulative, cumulative_cut = input.cumulative_cut, balance = input.balance,
       sequence = input.sequence
  FROM unnest(:rows::points.import_outcome_row[]) AS input
 WHERE r.team_id = :team_id AND r.import_id = :import_id AND r.row_number = input.row_number
   AND r.status = row_status('WAITING')

-- name: take_back_import_rows
-- What the row changed stays to be read.
UPDATE points.import_row AS r
   SET status = input.status, undo_sequence = input.sequence
  FROM unnest(:rows::points.import_undo_row[]) AS input
 WHERE r.team_id = :team_id AND r.import_id = :import_id AND r.row_number = input.row_number
   AND r.status = row_status('APPLIED')

-- name: unfinished_imports
-- Of all teams.
SELECT team_id, import_id FROM points.unfinished_imports()
