-- Data of triggers are kept as long as each team says: found team by team, those that were there first before the others.
CREATE INDEX mail_with_data_of_team ON mail (team_id, occurred_at) WHERE data IS NOT NULL AND data <> '{}';
DROP INDEX mail_with_data;
