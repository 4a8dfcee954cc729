-- name: create_module
INSERT INTO bot_module (team_id, bot_module_id, name, cards, created_at, updated_at)
VALUES (:team_id, :bot_module_id, :name, :cards, :now, :now)
RETURNING team_id, bot_module_id, name, cards, created_at, updated_at, version

-- name: get_module
SELECT team_id, bot_module_id, name, cards, created_at, updated_at, version
  FROM bot_module WHERE team_id = :team_id AND bot_module_id = :bot_module_id AND NOT deleted

-- name: hold_module
SELECT team_id, bot_module_id, name, cards, created_at, updated_at, version
  FROM bot_module WHERE team_id = :team_id AND bot_module_id = :bot_module_id AND NOT deleted FOR UPDATE

-- name: list_modules
SELECT team_id, bot_module_id, name, cards, created_at, updated_at, version
  FROM bot_module
 WHERE team_id = :team_id AND NOT deleted
   AND (:after_time::timestamptz IS NULL OR (created_at, bot_module_id) > (:after_time, :after_id::uuid))
 ORDER BY created_at, bot_module_id LIMIT :most

-- name: update_module
UPDATE bot_module SET name = :name, cards = :cards, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND bot_module_id = :bot_module_id
RETURNING team_id, bot_module_id, name, cards, created_at, updated_at, version

-- name: delete_module
UPDATE bot_module SET deleted = true, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND bot_module_id = :bot_module_id AND NOT deleted RETURNING true

-- name: create_template
INSERT INTO template (team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, shape,
                      rejected_reason, created_at, updated_at)
VALUES (:team_id, :template_id, :account_id, :name, :language, :state, :category, :parameter_names,
        :parameter_count, :shape, :rejected_reason, :now, :now)
RETURNING team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, shape, rejected_reason,
          created_at, updated_at, version

-- name: get_template
SELECT team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, shape, rejected_reason,
       created_at, updated_at, version
  FROM template WHERE team_id = :team_id AND template_id = :template_id AND NOT deleted

-- name: hold_template
SELECT team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, shape, rejected_reason,
       created_at, updated_at, version
  FROM template WHERE team_id = :team_id AND template_id = :template_id AND NOT deleted FOR UPDATE

-- name: hold_templates
SELECT team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, shape, rejected_reason,
       created_at, updated_at, version
  FROM template WHERE team_id = :team_id AND account_id = :account_id AND NOT deleted ORDER BY template_id FOR UPDATE

-- name: list_templates
SELECT team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, shape, rejected_reason,
       created_at, updated_at, version
  FROM template
 WHERE team_id = :team_id AND NOT deleted AND (:account_id::uuid IS NULL OR account_id = :account_id)
   AND (:after_time::timestamptz IS NULL OR (created_at, template_id) > (:after_time, :after_id::uuid))
 ORDER BY created_at, template_id LIMIT :most

-- name: update_template
-- What a webhook tells of the time before does not undo it.
UPDATE template SET state = :state, category = :category, parameter_names = :parameter_names,
       parameter_count = :parameter_count, shape = :shape, rejected_reason = :rejected_reason, updated_at = :now,
       state_told_at = CASE WHEN state = :state THEN state_told_at ELSE :now END,
       category_told_at = CASE WHEN category = :category THEN category_told_at ELSE :now END,
       version = version + 1
 WHERE team_id = :team_id AND template_id = :template_id
RETURNING team_id, template_id, account_id, name, language, state, category, parameter_names, parameter_count, shape, rejected_reason,
          created_at, updated_at, version

-- name: delete_template
UPDATE template SET deleted = true, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND template_id = :template_id AND NOT deleted RETURNING true
