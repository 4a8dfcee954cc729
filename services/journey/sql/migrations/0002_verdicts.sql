-- What conditions came to, from the judgement to the commit of the turn: an audience is only read, and what a branch did
-- would change the next reading. A turn that is run again takes the branch that it began.

CREATE TABLE verdict (
    team_id      uuid NOT NULL,
    enrolment_id uuid NOT NULL,
    key          uuid NOT NULL,
    belongs      boolean NOT NULL,
    reason       text NOT NULL,
    PRIMARY KEY (team_id, enrolment_id, key)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

SELECT platform.hold_teams_apart('verdict');
