-- Whether enrolments may have been made without places in a month of a plan, while there was no limit: it is counted again before it gives any.
ALTER TABLE plan_month ADD COLUMN lapsed boolean NOT NULL DEFAULT false;
