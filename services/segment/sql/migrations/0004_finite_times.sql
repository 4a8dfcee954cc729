-- Times that come from outside lie in the years that the edge lets through. The driver turns the first and the last moment that
-- Python knows into -infinity and infinity: these are refused here as well, for new rows, and without reading the old ones.
ALTER TABLE customer ADD CONSTRAINT customer_times_finite CHECK (
    isfinite(customer_interact_time) AND isfinite(team_interact_time) AND isfinite(marketed_time) AND isfinite(checkout_time)
) NOT VALID;
ALTER TABLE fact ADD CONSTRAINT fact_time_finite CHECK (isfinite(occur_time)) NOT VALID;
ALTER TABLE refund ADD CONSTRAINT refund_time_finite CHECK (isfinite(occur_time)) NOT VALID;
ALTER TABLE shop_order ADD CONSTRAINT shop_order_time_finite CHECK (isfinite(occur_time)) NOT VALID;
