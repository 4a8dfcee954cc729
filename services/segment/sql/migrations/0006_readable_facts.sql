-- What serves all teams reads these times: they are of years that Python has, whatever writes them, a day from either end for
-- the zones. Old rows are not read. This takes the place of the check that they are finite.
ALTER TABLE customer DROP CONSTRAINT customer_times_finite;
ALTER TABLE customer ADD CONSTRAINT customer_times_readable CHECK (
    customer_interact_time >= '0001-01-02 00:00+00' AND customer_interact_time < '9999-12-31 00:00+00'
    AND team_interact_time >= '0001-01-02 00:00+00' AND team_interact_time < '9999-12-31 00:00+00'
    AND marketed_time >= '0001-01-02 00:00+00' AND marketed_time < '9999-12-31 00:00+00'
    AND checkout_time >= '0001-01-02 00:00+00' AND checkout_time < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE fact DROP CONSTRAINT fact_time_finite;
ALTER TABLE fact ADD CONSTRAINT fact_times_readable CHECK (
    occur_time >= '0001-01-02 00:00+00' AND occur_time < '9999-12-31 00:00+00'
    AND record_time >= '0001-01-02 00:00+00' AND record_time < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE refund DROP CONSTRAINT refund_time_finite;
ALTER TABLE refund ADD CONSTRAINT refund_time_readable CHECK (
    occur_time >= '0001-01-02 00:00+00' AND occur_time < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE shop_order DROP CONSTRAINT shop_order_time_finite;
ALTER TABLE shop_order ADD CONSTRAINT shop_order_time_readable CHECK (
    occur_time >= '0001-01-02 00:00+00' AND occur_time < '9999-12-31 00:00+00'
) NOT VALID;
-- The feed finds the kind of a fact in the second byte of its body.
ALTER TABLE fact ADD CONSTRAINT fact_body_has_kind CHECK (octet_length(body) >= 2) NOT VALID;
