-- How many enrolments of a team's plan are used in a calendar month of its zone, and whose places among these are not settled: a place is
-- taken before the enrolment's first effect, by `enrolment_id`, for the mail `number` of a `source`, and stays when its turn is run again.
CREATE TABLE plan_month (
    team_id uuid NOT NULL,
    month   date NOT NULL,
    used    bigint NOT NULL CHECK (used >= 0),
    PRIMARY KEY (team_id, month)
) WITH (fillfactor = 50);
SELECT platform.hold_teams_apart('plan_month');

CREATE TABLE plan_place (
    team_id      uuid NOT NULL,
    month        date NOT NULL,
    enrolment_id uuid NOT NULL,
    partition    smallint NOT NULL,
    customer_id  uuid NOT NULL,
    source       smallint NOT NULL,
    number       integer NOT NULL,
    PRIMARY KEY (team_id, month, enrolment_id)
);
SELECT platform.hold_teams_apart('plan_place');
SELECT platform.sample_lightly('plan_place');

CREATE TYPE place_row AS (
    team_id uuid, month date, month_start timestamptz, most bigint, partition smallint, customer_id uuid, enrolment_id uuid,
    source smallint, number integer
);
