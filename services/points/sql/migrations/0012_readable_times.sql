-- What serves all teams reads these times: they are of years that Python has, whatever writes them, a day from either end for
-- the zones. Old rows are not read. This takes the place of the check that they are finite.
ALTER TABLE coupon DROP CONSTRAINT coupon_times_finite;
ALTER TABLE coupon ADD CONSTRAINT coupon_times_readable CHECK (
    start_at >= '0001-01-02 00:00+00' AND start_at < '9999-12-31 00:00+00'
    AND expires_at >= '0001-01-02 00:00+00' AND expires_at < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE coupon_claim DROP CONSTRAINT coupon_claim_time_finite;
ALTER TABLE coupon_claim ADD CONSTRAINT coupon_claim_time_readable CHECK (
    expires_at >= '0001-01-02 00:00+00' AND expires_at < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE entry DROP CONSTRAINT entry_time_finite;
ALTER TABLE entry ADD CONSTRAINT entry_times_readable CHECK (
    occurred_at >= '0001-01-02 00:00+00' AND occurred_at < '9999-12-31 00:00+00'
    AND posted_at >= '0001-01-02 00:00+00' AND posted_at < '9999-12-31 00:00+00'
) NOT VALID;
