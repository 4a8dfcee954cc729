-- name: set_account_state
-- Of the version that was refused: one that was renewed since is another.
UPDATE account SET state = :state, state_reason = :reason, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND account_id = :account_id AND state = :usable_state AND version = :version
RETURNING true

-- name: set_account_refused
-- By what was told at a time: one that was changed since is another.
UPDATE account SET state = :state, state_reason = :reason, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND account_id = :account_id AND state = :usable_state AND NOT deleted AND updated_at <= :at

-- name: note_account_notice
-- Its time stays: what is said of the account at the same moment counts, too.
UPDATE account SET state_reason = CASE WHEN :detail = '' THEN '' ELSE left(:about || :detail, 500) END, version = version + 1
 WHERE team_id = :team_id AND account_id = :account_id AND state = :usable_state AND NOT deleted AND updated_at <= :at
   AND CASE WHEN :detail = '' THEN starts_with(state_reason, :about) ELSE state_reason <> left(:about || :detail, 500) END

-- name: templates_of_sends
SELECT d.effect_key, t.account_id, t.name, t.language
  FROM unnest(:effect_keys::uuid[]) AS w (effect_key)
  JOIN delivery AS d ON d.team_id = :team_id AND d.effect_key = w.effect_key
  JOIN template AS t ON t.team_id = :team_id AND t.template_id = d.template_id
 WHERE NOT t.deleted

-- name: set_template_state
UPDATE template SET state = :state, rejected_reason = '', updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND template_id = :template_id AND state <> :state
RETURNING true

-- name: tell_template_states
-- In the order of keys; those whose state is another now.
WITH told AS (
    SELECT * FROM unnest(:account_ids::uuid[], :names::text[], :languages::text[], :times::timestamptz[], :states::smallint[],
                         :reasons::text[])
        AS w (account_id, name, language, at, state, reason)
), held AS (
    SELECT t.template_id, t.state AS before_state, w.at, w.state, w.reason,
           (t.state, t.rejected_reason) <> (w.state, w.reason) AS is_new
      FROM told AS w
      JOIN template AS t ON t.team_id = :team_id AND t.account_id = w.account_id AND t.name = w.name AND t.language = w.language
     WHERE NOT t.deleted AND (t.state_told_at IS NULL OR t.state_told_at <= w.at)
     ORDER BY t.template_id FOR UPDATE OF t
)
UPDATE template AS t
   SET state = h.state, rejected_reason = h.reason, state_told_at = h.at,
       updated_at = CASE WHEN h.is_new THEN :now ELSE t.updated_at END, version = t.version + h.is_new::integer
  FROM held AS h WHERE t.team_id = :team_id AND t.template_id = h.template_id
RETURNING t.template_id, t.state, h.before_state

-- name: tell_template_categories
UPDATE template AS t
   SET category = w.category, category_told_at = w.at, updated_at = :now, version = t.version + 1
  FROM unnest(:account_ids::uuid[], :names::text[], :languages::text[], :times::timestamptz[], :categories::text[])
    AS w (account_id, name, language, at, category)
 WHERE t.team_id = :team_id AND t.account_id = w.account_id AND t.name = w.name AND t.language = w.language AND NOT t.deleted
   AND (t.category_told_at IS NULL OR t.category_told_at <= w.at) AND t.category <> w.category

-- name: set_template_aside
-- By now: what the channel tells of it later counts.
UPDATE template SET state = :state, rejected_reason = '', state_told_at = :now, updated_at = :now, version = version + 1
 WHERE team_id = :team_id AND template_id = :template_id AND state = :approved
