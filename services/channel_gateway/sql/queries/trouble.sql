-- name: set_account_state
UPDATE account SET state = :state, state_reason = :reason, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND account_id = :account_id AND state = :usable_state
RETURNING true

-- name: set_template_state
UPDATE template SET state = :state, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND template_id = :template_id AND state <> :state
RETURNING true
