-- The end of a shop's key comes from outside: the driver's infinities are refused in new rows, as in 0004, and old rows are not read.
ALTER TABLE shop_key ADD CONSTRAINT shop_key_time_finite CHECK (isfinite(expires_at)) NOT VALID;
