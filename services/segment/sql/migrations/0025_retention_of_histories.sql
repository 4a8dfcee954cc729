-- How long steps of enrolments and histories are kept, where a team says so; null: for ever.
ALTER TABLE retention
    ADD COLUMN enrolment_steps interval CHECK (enrolment_steps BETWEEN '30 days' AND '3650 days'),
    ADD COLUMN histories interval CHECK (histories BETWEEN '30 days' AND '3650 days');

-- The last fact that was emptied in the history of a team that says how long it keeps it.
CREATE TABLE fact_pruning (
    team_id    uuid PRIMARY KEY,
    occur_time timestamptz NOT NULL
        CONSTRAINT fact_pruning_time_readable CHECK (occur_time >= '0001-01-02Z' AND occur_time < '9999-12-31Z'),
    partition  smallint NOT NULL,
    position   bigint NOT NULL
);
SELECT platform.hold_teams_apart('fact_pruning');
