-- Until when the contents of deliveries were removed, as in `content_pruning`, of teams that say or said themselves how long they keep them.
CREATE TABLE content_pruning_of_team (
    team_id      uuid PRIMARY KEY,
    pruned_until timestamptz NOT NULL
        CONSTRAINT content_pruning_of_team_time_readable
        CHECK (pruned_until >= '0001-01-02Z' AND pruned_until < '9999-12-31Z')
);
SELECT platform.hold_teams_apart('content_pruning_of_team');
