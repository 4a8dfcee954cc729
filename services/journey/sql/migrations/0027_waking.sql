-- Journeys whose do-not-disturb was drawn otherwise, and who makes due those that rest in them: `owner` until `claimed_until` (real time), who
-- renews that with each batch; then whoever comes. `done` for the stop epoch `epoch` and those before it.
CREATE TABLE resting_wake (
    team_id       uuid NOT NULL,
    journey_id    uuid NOT NULL,
    epoch         bigint NOT NULL,
    owner         uuid NOT NULL,
    claimed_until timestamptz NOT NULL CHECK (claimed_until >= '0001-01-02 00:00+00' AND claimed_until < '9999-12-31 00:00+00'),
    done          boolean NOT NULL DEFAULT false,
    PRIMARY KEY (team_id, journey_id)
);
SELECT platform.hold_teams_apart('resting_wake');
-- Of those who have rows: further live enrolments of customers who have several.
CREATE INDEX enrolment_resting ON enrolment (team_id, journey_id, created_at DESC) WHERE state = 1 AND rest = 3;
