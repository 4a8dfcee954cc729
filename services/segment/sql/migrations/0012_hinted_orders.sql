-- A hint comes with the order that says it: of one that is known already it need not be followed.
ALTER TYPE customer_hint ADD ATTRIBUTE shop_id text, ADD ATTRIBUTE order_id text;
