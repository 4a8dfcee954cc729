-- What serves all teams reads these times: they are of years that Python has, whatever writes them, a day from either end for
-- the zones. Old rows are not read. This takes the place of the check that they are finite.
ALTER TABLE actor ADD CONSTRAINT actor_times_readable CHECK (
    wake_at >= '0001-01-02 00:00+00' AND wake_at < '9999-12-31 00:00+00'
    AND sending_since >= '0001-01-02 00:00+00' AND sending_since < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE enrolment ADD CONSTRAINT enrolment_times_readable CHECK (
    created_at >= '0001-01-02 00:00+00' AND created_at < '9999-12-31 00:00+00'
    AND updated_at >= '0001-01-02 00:00+00' AND updated_at < '9999-12-31 00:00+00'
    AND wake_at >= '0001-01-02 00:00+00' AND wake_at < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE history ADD CONSTRAINT history_time_readable CHECK (
    at >= '0001-01-02 00:00+00' AND at < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE journey DROP CONSTRAINT journey_times_finite;
ALTER TABLE journey ADD CONSTRAINT journey_times_readable CHECK (
    starts_at >= '0001-01-02 00:00+00' AND starts_at < '9999-12-31 00:00+00'
    AND ends_at >= '0001-01-02 00:00+00' AND ends_at < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE mail DROP CONSTRAINT mail_time_finite;
ALTER TABLE mail ADD CONSTRAINT mail_time_readable CHECK (
    occurred_at >= '0001-01-02 00:00+00' AND occurred_at < '9999-12-31 00:00+00'
) NOT VALID;
