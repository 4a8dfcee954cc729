-- What waits is found team by team, so that one team's backlog stands in nobody's way. The index by sequence alone goes with a
-- later migration: the release before reads by it.
CREATE INDEX webhook_inbox_waiting ON webhook_inbox (team_id, sequence) INCLUDE (event_count) WHERE state = 1;
