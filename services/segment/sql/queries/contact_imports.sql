-- Imports of contacts. States and statuses as in the domain.

-- name: insert_contact_import
-- No row for a file that was imported before.
INSERT INTO contact_import (team_id, contact_import_id, file_name, file_sha256, file_bytes, channel, account_id, deduct_cumulative,
                            triggers, repeat, actor, headings, fields, created_at)
SELECT (:asked::asked_contact_import).*, :created_at
ON CONFLICT (team_id, file_sha256) WHERE NOT repeat AND state <= import_state('SUCCEEDED') DO NOTHING
RETURNING true

-- name: contact_import_of_file
SELECT contact_import_id FROM contact_import
 WHERE team_id = :team_id AND file_sha256 = :file_sha256 AND NOT repeat AND state <= import_state('SUCCEEDED')

-- name: bytes_of_contact_imports
-- Of files that are being uploaded or applied.
SELECT coalesce(sum(file_bytes), 0)::bigint FROM contact_import WHERE team_id = :team_id AND state IN (import_state('PENDING'), import_state('RUNNING'))

-- name: read_contact_import
SELECT * FROM contact_import WHERE team_id = :team_id AND contact_import_id = :contact_import_id

-- name: lock_contact_import
SELECT * FROM contact_import WHERE team_id = :team_id AND contact_import_id = :contact_import_id FOR NO KEY UPDATE

-- name: take_contact_import
-- No row while another process works on it.
SELECT * FROM contact_import WHERE team_id = :team_id AND contact_import_id = :contact_import_id
   FOR NO KEY UPDATE SKIP LOCKED

-- name: list_contact_imports
-- `after_*`: where the page before ended, nulls on the first page; `state` null takes all.
SELECT * FROM contact_import
 WHERE team_id = :team_id AND (:state::smallint IS NULL OR state = :state::smallint)
   AND (:after_created_at::timestamptz IS NULL
        OR (created_at, contact_import_id) < (:after_created_at::timestamptz, :after_id::uuid))
 ORDER BY created_at DESC, contact_import_id DESC
 LIMIT :row_max

-- name: insert_contact_import_part
INSERT INTO contact_import_part (team_id, contact_import_id, start_byte, csv)
VALUES (:team_id, :contact_import_id, :start_byte, :csv)

-- name: read_contact_import_part
-- Up to `length` bytes from `start_byte` of the part that holds them.
SELECT substring(csv FROM (:start_byte::bigint - start_byte + 1)::integer FOR :length::integer) AS csv FROM contact_import_part
 WHERE team_id = :team_id AND contact_import_id = :contact_import_id AND start_byte <= :start_byte::bigint
 ORDER BY start_byte DESC LIMIT 1

-- name: delete_contact_import_parts
-- Those that end at `byte` or before.
DELETE FROM contact_import_part
 WHERE team_id = :team_id AND contact_import_id = :contact_import_id AND start_byte + octet_length(csv) <= :byte::bigint

-- name: move_contact_import
UPDATE contact_import
   SET (state, uploaded_bytes, encoding, separator, line_count, next_byte, next_line, waiting_count, applied_count,
        unchanged_count, failed_count, message, ended_at, touched_at)
       = (SELECT (:stand::contact_import_stand).*, now())
 WHERE team_id = :team_id AND contact_import_id = :contact_import_id

-- name: insert_contact_import_rows
INSERT INTO contact_import_row (team_id, contact_import_id, line, status, reason, message, customer_id, points, cells)
SELECT :team_id, :contact_import_id, input.* FROM unnest(:rows::contact_row[]) AS input

-- name: waiting_contact_import_rows
SELECT line, status, reason, message, customer_id, points, cells FROM contact_import_row
 WHERE team_id = :team_id AND contact_import_id = :contact_import_id AND status = import_row_status('WAITING')
 ORDER BY line LIMIT :row_max

-- name: delete_contact_import_rows
DELETE FROM contact_import_row
 WHERE team_id = :team_id AND contact_import_id = :contact_import_id AND line = ANY (:lines::bigint[])

-- name: list_contact_import_rows
-- `status` null takes all that are decided.
SELECT line, status, reason, message, customer_id, points, cells FROM contact_import_row
 WHERE team_id = :team_id AND contact_import_id = :contact_import_id AND line > :after_line AND status > import_row_status('WAITING')
   AND (:status::smallint IS NULL OR status = :status::smallint)
 ORDER BY line LIMIT :row_max

-- name: unfinished_contact_imports
-- Of all teams.
SELECT team_id, contact_import_id FROM unfinished_contact_imports()

-- name: forget_contact_imports
SELECT forget_contact_imports(:stale, :old, :ended, :row_max)
