-- Tables that grow with traffic: ANALYZE takes smaller samples of them, and less often.
SELECT platform.sample_lightly('effect');
SELECT platform.sample_lightly('event_key');
SELECT platform.sample_lightly('fact');
SELECT platform.sample_lightly('identity');
SELECT platform.sample_lightly('refund');
SELECT platform.sample_lightly('shop_order');

-- These are searched by what is in them, so their samples stay as large as they were.
ALTER TABLE customer SET (autovacuum_analyze_scale_factor = 0.5);
ALTER TABLE customer_attribute SET (autovacuum_analyze_scale_factor = 0.5);
ALTER TABLE customer_tag SET (autovacuum_analyze_scale_factor = 0.5);
