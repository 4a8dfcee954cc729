-- Times that come from outside lie in the years that the edge lets through. The driver turns the first and the last moment that
-- Python knows into -infinity and infinity: these are refused here as well, for new rows, and without reading the old ones.
ALTER TABLE coupon ADD CONSTRAINT coupon_times_finite CHECK (isfinite(start_at) AND isfinite(expires_at)) NOT VALID;
ALTER TABLE entry ADD CONSTRAINT entry_time_finite CHECK (isfinite(occurred_at)) NOT VALID;
