-- A history as a service has it: the bench appends to it.
CREATE TABLE fact (
    partition smallint NOT NULL,
    position  bigint NOT NULL,
    team_id   uuid NOT NULL,
    body      bytea NOT NULL,
    PRIMARY KEY (partition, position)
);

SELECT platform.hold_teams_apart('fact');
