-- A claim ends when its coupon does, which people say: infinities are refused in new rows, as in 0010, and old rows are not read.
ALTER TABLE coupon_claim ADD CONSTRAINT coupon_claim_time_finite CHECK (isfinite(expires_at)) NOT VALID;
