-- Quarters are those of facts, whose times come from outside: infinities are refused in new rows, and old rows are not read.
ALTER TABLE counter ADD CONSTRAINT counter_time_finite CHECK (isfinite(quarter)) NOT VALID;
