-- Times that come from outside lie in the years that the edge lets through. The driver turns the first and the last moment that
-- Python knows into -infinity and infinity: these are refused here as well, for new rows, and without reading the old ones.
ALTER TABLE journey ADD CONSTRAINT journey_times_finite CHECK (isfinite(starts_at) AND isfinite(ends_at)) NOT VALID;
ALTER TABLE mail ADD CONSTRAINT mail_time_finite CHECK (isfinite(occurred_at)) NOT VALID;
