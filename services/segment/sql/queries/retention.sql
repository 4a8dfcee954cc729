-- How long records are kept, as teams say it.

-- name: load_retention
SELECT webhook_bodies, message_contents, enrolment_steps, histories, audit_entries, hourly_figures, revision FROM retention WHERE team_id = :team_id

-- name: save_retention
INSERT INTO retention AS r (team_id, webhook_bodies, message_contents, enrolment_steps, histories, audit_entries, hourly_figures)
VALUES (:team_id, :webhook_bodies, :message_contents, :enrolment_steps, :histories, :audit_entries, :hourly_figures)
ON CONFLICT (team_id) DO UPDATE
   SET webhook_bodies = EXCLUDED.webhook_bodies, message_contents = EXCLUDED.message_contents,
       enrolment_steps = EXCLUDED.enrolment_steps, histories = EXCLUDED.histories,
       audit_entries = EXCLUDED.audit_entries, hourly_figures = EXCLUDED.hourly_figures, revision = r.revision + 1
RETURNING webhook_bodies, message_contents, enrolment_steps, histories, audit_entries, hourly_figures, revision

-- name: list_retentions
-- `after` may be null. With the owner's rights, since no transaction is bound to all teams.
SELECT team_id, webhook_bodies, message_contents, enrolment_steps, histories, audit_entries, hourly_figures, revision
  FROM team_retentions_v2(:after, :row_max)
