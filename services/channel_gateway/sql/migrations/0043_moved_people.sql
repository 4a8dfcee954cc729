-- By which id somebody was known on an account until when: what they wrote before that and is told after it is theirs.
CREATE TABLE moved_person (
    team_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    old_id     text NOT NULL,
    moved_at   timestamptz NOT NULL,
    moved_to   text NOT NULL,
    PRIMARY KEY (team_id, account_id, old_id, moved_at),
    CONSTRAINT moved_person_time_readable CHECK (moved_at >= '0001-01-02 00:00+00' AND moved_at < '9999-12-31 00:00+00')
);
SELECT platform.hold_teams_apart('moved_person');
