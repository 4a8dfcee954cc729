-- Times that come from outside lie in the years that the edge lets through. The driver turns the first and the last moment that
-- Python knows into -infinity and infinity: these are refused here as well, for new rows, and without reading the old ones.
ALTER TABLE delivery ADD CONSTRAINT delivery_time_finite CHECK (isfinite(not_after)) NOT VALID;
ALTER TABLE history ADD CONSTRAINT history_time_finite CHECK (isfinite(occurred_at)) NOT VALID;
