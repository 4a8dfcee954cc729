-- Orders of one customer have an index of their own: through that of all the team's, a page for one who ordered long ago reads every
-- order since. In exchange the latter no longer names customers.
CREATE INDEX shop_order_of_customer ON shop_order (team_id, customer_id, occur_time DESC, order_key DESC) WHERE customer_id IS NOT NULL;
CREATE INDEX shop_order_of_team ON shop_order (team_id, occur_time DESC, order_key DESC);
DROP INDEX shop_order_newest;
ALTER INDEX shop_order_of_team RENAME TO shop_order_newest;
