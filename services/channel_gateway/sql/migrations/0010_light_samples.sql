-- Tables that grow with traffic: ANALYZE takes smaller samples of them, and less often.
SELECT platform.sample_lightly('customer_mail');
SELECT platform.sample_lightly('delivery');
SELECT platform.sample_lightly('history');
SELECT platform.sample_lightly('inbound');
SELECT platform.sample_lightly('webhook_inbox');
