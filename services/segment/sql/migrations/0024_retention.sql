-- How long each kind of a team's records is kept, where the team says so itself; null: as the installation says.
CREATE TABLE retention (
    team_id          uuid PRIMARY KEY,
    webhook_bodies   interval CHECK (webhook_bodies BETWEEN '7 days' AND '3650 days'),
    message_contents interval CHECK (message_contents BETWEEN '1 day' AND '3650 days'),
    audit_entries    interval CHECK (audit_entries BETWEEN '365 days' AND '3650 days'),
    revision         bigint NOT NULL DEFAULT 1 CHECK (revision > 0)
);
SELECT platform.hold_teams_apart('retention');

-- The last message whose text was taken out of the history, of teams that keep texts for less than the installation does.
CREATE TABLE text_pruning (
    team_id    uuid PRIMARY KEY,
    occur_time timestamptz NOT NULL
        CONSTRAINT text_pruning_time_readable CHECK (occur_time >= '0001-01-02Z' AND occur_time < '9999-12-31Z'),
    partition  smallint NOT NULL,
    position   bigint NOT NULL
);
SELECT platform.hold_teams_apart('text_pruning');
