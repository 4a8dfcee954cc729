-- Deliveries behind the time up to which contents were removed, that may still have some: not settled when that time passed them, or put off.
CREATE TABLE overdue_content (
    team_id    uuid NOT NULL,
    effect_key uuid NOT NULL,
    PRIMARY KEY (team_id, effect_key)
);
SELECT platform.hold_teams_apart('overdue_content');
-- Those that were passed over before now.
INSERT INTO overdue_content (team_id, effect_key)
SELECT d.team_id, d.effect_key
  FROM delivery AS d
 CROSS JOIN content_pruning AS everybody
  LEFT JOIN content_pruning_of_team AS own ON own.team_id = d.team_id
 WHERE d.parts IS NOT NULL AND d.created_at < COALESCE(own.pruned_until, everybody.pruned_until);
