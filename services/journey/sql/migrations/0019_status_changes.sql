-- Every change of a journey's status: who or what, why, when. `version` is the journey's after it; `subject` is what was missing or used
-- up, empty without one. They stay when the journey is deleted.
CREATE TABLE status_change (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    version    bigint NOT NULL,
    before     smallint NOT NULL,
    after      smallint NOT NULL,
    reason     smallint NOT NULL,
    subject    text NOT NULL,
    actor      text NOT NULL,
    changed_at timestamptz NOT NULL CHECK (changed_at >= '0001-01-02 00:00+00' AND changed_at < '9999-12-31 00:00+00'),
    PRIMARY KEY (team_id, journey_id, version),
    FOREIGN KEY (team_id, journey_id) REFERENCES journey (team_id, journey_id)
);
SELECT platform.hold_teams_apart('status_change');
