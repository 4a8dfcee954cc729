-- name: to_seal
SELECT kind, team_id, row_id FROM to_seal(:present, :after_kind, :after_team, :after_id, :most)

-- name: sealing_keys
SELECT key_id, row_count FROM sealing_keys()
