-- What serves all teams reads these times: they are of years that Python has, whatever writes them, a day from either end for
-- the zones. Old rows are not read. This takes the place of the check that they are finite.
ALTER TABLE delivery DROP CONSTRAINT delivery_time_finite;
ALTER TABLE delivery ADD CONSTRAINT delivery_times_readable CHECK (
    not_after >= '0001-01-02 00:00+00' AND not_after < '9999-12-31 00:00+00'
    AND first_attempt_at >= '0001-01-02 00:00+00' AND first_attempt_at < '9999-12-31 00:00+00'
    AND next_attempt_at >= '0001-01-02 00:00+00' AND next_attempt_at < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE history DROP CONSTRAINT history_time_finite;
ALTER TABLE history ADD CONSTRAINT history_time_readable CHECK (
    occurred_at >= '0001-01-02 00:00+00' AND occurred_at < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE webhook_inbox ADD CONSTRAINT webhook_inbox_time_readable CHECK (
    received_at >= '0001-01-02 00:00+00' AND received_at < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE shop_key DROP CONSTRAINT shop_key_time_finite;
ALTER TABLE shop_key ADD CONSTRAINT shop_key_time_readable CHECK (
    expires_at >= '0001-01-02 00:00+00' AND expires_at < '9999-12-31 00:00+00'
) NOT VALID;
