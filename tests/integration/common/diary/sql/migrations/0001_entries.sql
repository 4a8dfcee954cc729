CREATE TABLE entry (
    partition smallint NOT NULL,
    position  bigint NOT NULL,
    team_id   uuid NOT NULL,
    words     text NOT NULL,
    PRIMARY KEY (partition, position)
);

SELECT platform.hold_teams_apart('entry');
SELECT platform.open_history('entry'), platform.open_pages('entry');
