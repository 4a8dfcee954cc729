-- Mail that started nothing in a journey, since its customer was inside as many enrolments as one may be: nothing else tells it later.
CREATE TABLE live_refusal (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    source      smallint NOT NULL,
    number      bigint NOT NULL,
    journey_id  uuid NOT NULL,
    PRIMARY KEY (team_id, customer_id, journey_id, source, number)
);
SELECT platform.hold_teams_apart('live_refusal');
ALTER TABLE audience_trigger
    ADD COLUMN over_live_limit bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT audience_trigger_check1,
    ADD CONSTRAINT audience_trigger_check1
        CHECK (enrolled + over_customer_limit + over_live_limit + over_plan_limit + not_live + set_aside + dropped = settled);
