-- Tables that grow with traffic: ANALYZE takes smaller samples of them, and less often.
SELECT platform.sample_lightly('account');
SELECT platform.sample_lightly('entry');
SELECT platform.sample_lightly('outcome');
SELECT platform.sample_lightly('shop_order');
